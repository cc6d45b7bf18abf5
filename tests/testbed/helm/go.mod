module sumu.live/testbed/helm

go 1.26
