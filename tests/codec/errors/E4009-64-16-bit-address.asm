mov al, [bx]
