o16 movsd
