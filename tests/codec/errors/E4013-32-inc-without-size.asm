encode "FF /0" { inc eax }
