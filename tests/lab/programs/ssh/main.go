// Which repositories does a Git server on loopback give and take by SSH, and to whom?
//
//	git-ssh keygen ed25519|ecdsa|rsa FILE    writes a private key and FILE.pub
//	git-ssh keygen pkcs1 FILE                the same as GitHub gives one to an app
//	git-ssh serve PORT FOLDER FILE.pub KEY...
//	                                         serves the repositories below a folder to who has the key of FILE.pub
//
// It shows the host keys KEY, prints its address (port 0 is any), and ends when its standard input does. The folder is the
// server's root: an absolute path is looked for below it, a relative one and what begins with ~/ below its folder home.
// Those are pushed to whose configuration sets daemon.receivepack.
package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "keygen":
		err = keygen(os.Args[2], os.Args[3])
	case len(os.Args) > 5 && os.Args[1] == "serve":
		err = serve(os.Args[2], os.Args[3], os.Args[4], os.Args[5:])
	default:
		err = errors.New("usage: git-ssh keygen KIND FILE, or git-ssh serve PORT FOLDER FILE.pub KEY...")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func keygen(kind, file string) error {
	key, err := generate(kind)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	if rsaKey, isRSA := key.(*rsa.PrivateKey); isRSA && kind == "pkcs1" {
		block = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600)
}

func generate(kind string) (crypto.Signer, error) {
	switch kind {
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa", "pkcs1":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("no kind of key: %s", kind)
}

func serve(port, folder, authorized string, keys []string) error {
	config, err := configured(authorized, keys)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		os.Exit(0)
	}()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go talk(connection, config, folder)
	}
}

func configured(authorized string, keys []string) (*ssh.ServerConfig, error) {
	line, err := os.ReadFile(authorized)
	if err != nil {
		return nil, err
	}
	welcome, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) == string(welcome.Marshal()) {
				return nil, nil
			}
			return nil, errors.New("an unknown key")
		},
	}
	for _, file := range keys {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		signer, err := ssh.ParsePrivateKey(text)
		if err != nil {
			return nil, err
		}
		config.AddHostKey(signer)
	}
	return config, nil
}

func talk(connection net.Conn, config *ssh.ServerConfig, folder string) {
	defer connection.Close()
	_, channels, requests, err := ssh.NewServerConn(connection, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for asked := range channels {
		if asked.ChannelType() != "session" {
			_ = asked.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, requests, err := asked.Accept()
		if err != nil {
			return
		}
		go session(channel, requests, folder)
	}
}

func session(channel ssh.Channel, requests <-chan *ssh.Request, folder string) {
	for request := range requests {
		if request.Type != "exec" {
			_ = request.Reply(false, nil)
			continue
		}
		var payload struct{ Command string }
		_ = request.Reply(ssh.Unmarshal(request.Payload, &payload) == nil, nil)
		status := struct{ Code uint32 }{run(channel, payload.Command, folder)}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(&status))
		_ = channel.Close()
	}
}

func run(channel ssh.Channel, line, folder string) uint32 {
	service, path, _ := strings.Cut(line, " '")
	path, isClosed := strings.CutSuffix(path, "'")
	service, isGit := strings.CutPrefix(service, "git-")
	if !isClosed || !isGit || service != "upload-pack" && service != "receive-pack" {
		fmt.Fprintln(channel.Stderr(), "only git-upload-pack and git-receive-pack are served")
		return 1
	}
	repository := found(folder, path)
	if service == "receive-pack" && !takesPushes(repository) {
		fmt.Fprintln(channel.Stderr(), "ERROR: Permission to "+path+" denied to this key.")
		return 1
	}
	command := exec.Command("git", "-c", "safe.directory=*", service, repository)
	command.Stdout, command.Stderr = channel, channel.Stderr()
	// Given as a pipe, so that the end of the program is not waited for until the client says more.
	input, err := command.StdinPipe()
	if err != nil || command.Start() != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(input, channel)
		_ = input.Close()
	}()
	if command.Wait() != nil {
		return 1
	}
	return 0
}

// As with git daemon, nobody pushes to a repository that does not say so itself.
func takesPushes(repository string) bool {
	answer, err := exec.Command("git", "--git-dir", repository, "config", "--bool", "daemon.receivepack").Output()
	return err == nil && strings.TrimSpace(string(answer)) == "true"
}

func found(folder, path string) string {
	if strings.HasPrefix(path, "/") {
		return filepath.Join(folder, path)
	}
	return filepath.Join(folder, "home", strings.TrimPrefix(path, "~/"))
}
