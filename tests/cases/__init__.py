"""Rows of operations, a module a family. Each module has CASES, a list of Case."""
