"""The formats of images.

A format makes one file from the tree, or from the raw disk, which is made once for all formats of disks.

To add one:
1. Write `make(run, options, path)` in a module of this package: it writes the new file `path` from `run` (see run.py)
   and its own `options` (the item of the assembler's `outputs`). It raises StageError for what its user can
   correct, and gives the same bytes every time.
2. Add it to FORMATS in registry.py with its source: the disk or the tree. If it shares an intermediate result with
   another format, set `shares` and make that with Run.once().
3. Describe its options in assemblers/org.osbuild-compose.image.meta.json under `outputs`, and add its programs to
   tools.PACKAGES.
4. In the frontend: its name and its options in blueprint/formats.py, and both in
   schemas/blueprint.whole.schema.json (then `make docs`).
5. Test it in tests/integration/test_image_formats.py: content read back with another tool, the same bytes twice; and
   add its user's check to test_format_checks.py.
"""
