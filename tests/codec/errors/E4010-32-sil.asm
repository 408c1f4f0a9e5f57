mov sil, 1
