from backend.imports.command import run_import as run_import
