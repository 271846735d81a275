"""The pages of "Performance": frozen view models and the templates that render them.

Nothing here knows a web framework. A page is a pure function of stored results and of the viewer's permissions.
"""
