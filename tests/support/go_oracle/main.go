// The oracle answers, from Go's own packages for signed notes and transparency logs, what the
// audit room works out for itself. One JSON object comes in a line, one goes out; bytes are base64.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Op      string
	Note    []byte
	Text    string
	Keys    []string
	Entries [][]byte
	Proof   [][]byte
	Root    []byte
	OldRoot []byte
	Leaf    []byte
	Index   int64
	Size    int64
	Old     int64
	Level   int
	Width   int
}

type answer struct {
	Error  string   `json:"error"`
	Text   string   `json:"text"`
	Names  []string `json:"names"`
	Note   []byte   `json:"note"`
	Hashes [][]byte `json:"hashes"`
	Path   string   `json:"path"`
	Data   []byte   `json:"data"`
	Paths  []string `json:"paths"`
}

// The one log of this process: its hashes in the order in which Go stores them.
type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(s)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		hashes[i] = s[index]
	}
	return hashes, nil
}

var (
	stored storage
	count  int64
)

func grow(entries [][]byte) error {
	for _, entry := range entries {
		hashes, err := tlog.StoredHashes(count, entry, stored)
		if err != nil {
			return err
		}
		stored = append(stored, hashes...)
		count++
	}
	return nil
}

func open(ask request) (answer, error) {
	var known []note.Verifier
	for _, key := range ask.Keys {
		verifier, err := note.NewVerifier(key)
		if err != nil {
			return answer{}, err
		}
		known = append(known, verifier)
	}
	opened, err := note.Open(ask.Note, note.VerifierList(known...))
	if err != nil {
		return answer{}, err
	}
	found := answer{Text: opened.Text}
	for _, signature := range opened.Sigs {
		found.Names = append(found.Names, signature.Name)
	}
	return found, nil
}

func sign(ask request) (answer, error) {
	var signers []note.Signer
	for _, key := range ask.Keys {
		signer, err := note.NewSigner(key)
		if err != nil {
			return answer{}, err
		}
		signers = append(signers, signer)
	}
	signed, err := note.Sign(&note.Note{Text: ask.Text}, signers...)
	return answer{Note: signed}, err
}

func hash(data []byte) (found tlog.Hash) {
	copy(found[:], data)
	return found
}

func hashes(proof [][]byte) []tlog.Hash {
	var found []tlog.Hash
	for _, data := range proof {
		found = append(found, hash(data))
	}
	return found
}

func raw(proof []tlog.Hash) [][]byte {
	var found [][]byte
	for i := range proof {
		found = append(found, proof[i][:])
	}
	return found
}

func reply(ask request) (answer, error) {
	switch ask.Op {
	case "open":
		return open(ask)
	case "sign":
		return sign(ask)
	case "grow":
		return answer{}, grow(ask.Entries)
	case "root":
		root, err := tlog.TreeHash(ask.Size, stored)
		return answer{Hashes: [][]byte{root[:]}}, err
	case "prove_record":
		proof, err := tlog.ProveRecord(ask.Size, ask.Index, stored)
		return answer{Hashes: raw(proof)}, err
	case "prove_tree":
		proof, err := tlog.ProveTree(ask.Size, ask.Old, stored)
		return answer{Hashes: raw(proof)}, err
	case "check_record":
		return answer{}, tlog.CheckRecord(
			hashes(ask.Proof), ask.Size, hash(ask.Root), ask.Index, hash(ask.Leaf))
	case "check_tree":
		return answer{}, tlog.CheckTree(
			hashes(ask.Proof), ask.Size, hash(ask.Root), ask.Old, hash(ask.OldRoot))
	case "tile":
		tile := tlog.Tile{H: 8, L: ask.Level, N: ask.Index, W: ask.Width}
		data, err := tlog.ReadTileData(tile, stored)
		return answer{Path: tile.Path(), Data: data}, err
	case "path":
		return answer{Path: tlog.Tile{H: 8, L: ask.Level, N: ask.Index, W: ask.Width}.Path()}, nil
	case "new_tiles":
		var found answer
		for _, tile := range tlog.NewTiles(8, ask.Old, ask.Size) {
			found.Paths = append(found.Paths, tile.Path())
		}
		return found, nil
	}
	return answer{}, fmt.Errorf("no operation %q", ask.Op)
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var ask request
		var found answer
		if err = json.Unmarshal(line, &ask); err == nil {
			found, err = reply(ask)
		}
		if err != nil {
			found = answer{Error: err.Error()}
		}
		if err = out.Encode(found); err != nil {
			return
		}
	}
}
