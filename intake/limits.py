"""How much a file may hold. Beyond this it is refused before anything is unpacked or kept."""

MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_UNPACKED_BYTES = 100 * 1024 * 1024
"""Of a workbook, which is a zip file: 20 MB of it could unpack to 20 GB."""

MAX_TASKS = 20_000
"""Rows of a sheet, and tasks of a file."""
MAX_COLUMNS = 100
