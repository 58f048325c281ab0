module example.com/conductor-loop

go 1.26
