"""Build and measure `pocket`, the text-image model that ships inside the pixseek wheel."""
