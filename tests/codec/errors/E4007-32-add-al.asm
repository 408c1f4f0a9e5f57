add al, 256
