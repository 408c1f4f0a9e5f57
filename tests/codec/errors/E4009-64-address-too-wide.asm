mov ecx, [0x123456789ab]
