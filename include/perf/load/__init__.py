"""A load as data: the feed, the plan, the bytes of a request, and which load may run when."""
