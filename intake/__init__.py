"""Reading documents and their tasks from files: YAML, Excel and CSV.

The room turns a file into drafts of ``register`` commands, or into the list of everything that is
wrong with it; it signs nothing and writes nothing. It says what is wrong by code and place, and
never repeats what stood there: a cell in the wrong column may be the title of a secret document.

    reading.py      the way in: a file's bytes and name, to drafts or errors
    yaml_file.py, workbook.py, csv_file.py   one kind of file each, to raw rows
    archive.py      guards against hostile workbooks, and finds what the library hides
    table.py        headings and cells of a sheet, to raw rows
    assembling.py   raw rows to drafts, by documents.py and tasks.py
    template.py     the workbook that a clerk fills in
    people/         agencies and people in bulk: a room in the room, with readers of its own
"""
