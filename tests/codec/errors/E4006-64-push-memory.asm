push [rbx]
