"""A province's agencies and the tasks of one of its directives, to start with and to test against.

The tasks follow what the 2024 directive of Kon Tum province on administrative discipline asks for,
in words of our own. Number and date of the document are invented, and no account is a person's.
"""
