"""Networks in files, one module for each format. `import fastmlp` loads none of them."""
