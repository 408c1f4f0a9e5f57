mov [rbx], 5
