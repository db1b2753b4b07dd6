// Pins what the lab's Git server by SSH is made of.
module tautline.dev/lab/ssh

go 1.26.0

require golang.org/x/crypto v0.48.0

require golang.org/x/sys v0.41.0 // indirect
