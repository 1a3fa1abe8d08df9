"""Image files: JPEG, PNG, GIF and BMP to arrays of pixels and back."""
