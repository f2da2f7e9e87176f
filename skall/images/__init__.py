"""What an image is: whatever a user has, as rows that are read as RGB."""

from skall.images.inputs import as_images, check_images

__all__ = ["as_images", "check_images"]
