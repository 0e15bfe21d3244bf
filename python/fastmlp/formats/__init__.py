"""Networks in files of other formats, one module for each. Nothing here is imported with the package."""
