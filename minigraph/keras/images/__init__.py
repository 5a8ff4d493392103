"""Images as Keras scripts handle them: files in folders, Pillow images, arrays, batches.

Pillow reads and writes the files; it is imported when the first image is touched.
"""
