"""The directory as a workbook: agencies as a tree, people with roles, clearance and periods.

Two sheets, or two CSV files; the same form is written by the export. The room turns a file into
`listing.Listing`, or into the list of everything that is wrong with it, and says what would have to
change in the directory. It signs nothing and writes nothing into the log.

    reading.py      the way in: files to a listing or errors
    workbook.py, text_table.py   one kind of file each, to sheets of cells
    sheets.py       headings and cells of a sheet, to rows by field
    agencies.py, people.py   rows to agencies, and to people with their roles
    together.py     what rows say together: circles, an operator with another role
    difference.py   a listing against the directory: what has to change
    writing.py      the workbook of a listing, and the empty one that a clerk fills in
"""
