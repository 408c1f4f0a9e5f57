pusha
