"""Networks in files, one module for each format. `import fastmlp` loads only safetensors.py."""
