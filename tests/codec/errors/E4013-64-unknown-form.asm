encode "8A /7" { mov al, bl }
