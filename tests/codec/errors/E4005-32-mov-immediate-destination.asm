mov 5, eax
