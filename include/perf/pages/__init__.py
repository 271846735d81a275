"""The pages of "Performance": what each shows, as frozen view models, and the templates that draw them.

Nothing here knows a web framework: a page is a pure function of what was measured, and of who looks on.
"""
