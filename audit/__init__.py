"""The signed log: its bytes, its keys and its verifier. It knows entries, and nothing of tasks.

    an entry       entry, statement, dsse, canonical, commitment, chains, submission, stamp, signing
    the tree       merkle, frontier, consistency, growth, tiles; heads, head_proofs (ends of chains)
    its root       note, cosignature, checkpoint, signers, witnessing
    whom to trust  policy, trust_file
    keys           algorithms, keys, private_keys, holders, directory, keyring, founding, disputes
    certificates   certificates, authorities, paths, names, revocations, strength, unreadable
    time-stamps    timestamp, timestamp_path, timestamp_request, cms
    verification   engine, checks, once, tally, report; of a database: stored, read_model
    … of a bundle  offline, bundle, share, dealing, chosen, proof, receipt
    … by itself    verify, saying, extracting

`malformed` is the error that all of them raise for bytes from outside.
"""
