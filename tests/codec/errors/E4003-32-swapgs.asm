swapgs
