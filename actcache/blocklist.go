package actcache

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// readBlockList reads the body of Put Block List: names of blocks in their
// order. A block is the last one that was sent under its name, whichever of
// the three elements names it: nothing here is committed before an entry is.
func readBlockList(r io.Reader) ([]string, error) {
	d := xml.NewDecoder(io.LimitReader(r, maxBlockList))
	var names []string
	depth, open := 0, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && open && depth == 0 {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("block list: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 && (open || t.Name.Local != "BlockList") || depth == 1 && !listed[t.Name.Local] || depth > 1 {
				return nil, fmt.Errorf("block list: unexpected %.40q", t.Name.Local)
			}
			depth, open = depth+1, true
			if depth == 2 {
				names = append(names, "")
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 2 {
				names[len(names)-1] += string(t)
			}
		}
		if len(names) > maxBlocks || len(names) > 0 && len(names[len(names)-1]) > maxBlockName {
			return nil, errors.New("block list: too many blocks, or too long a name")
		}
	}
}

var listed = map[string]bool{"Latest": true, "Uncommitted": true, "Committed": true}
