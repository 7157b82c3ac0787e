package signedtest

import (
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
)

// A Sigstore has an authority that knows who people are, a log, and a clock.
type Sigstore struct {
	t  testing.TB
	ca *ca.VirtualSigstore
}

// NewSigstore makes one.
func NewSigstore(t testing.TB) *Sigstore {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return &Sigstore{t, virtual}
}

// A Part of a trusted root.
type Part int

// What a root may be without, or with besides.
const (
	NoLog Part = 1 << iota
	NoClock
	CTLog
)

// Root is what `cosign trusted-root create` writes.
func (s *Sigstore) Root(parts Part) string {
	s.t.Helper()
	logs, clocks := rawIDs(s.t, s.ca.RekorLogs()), s.ca.TimestampingAuthorities()
	certificates := map[string]*root.TransparencyLog{}
	if parts&NoLog != 0 {
		logs = nil
	}
	if parts&NoClock != 0 {
		clocks = nil
	}
	if parts&CTLog != 0 {
		certificates = rawIDs(s.t, s.ca.CTLogs())
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, s.ca.FulcioCertificateAuthorities(), certificates, clocks, logs)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := trusted.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// rawIDs has the ids of logs in bytes, as files have them.
func rawIDs(t testing.TB, logs map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
	t.Helper()
	for id, log := range logs {
		raw, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		log.ID, log.SignatureHashFunc = raw, log.HashFunc
	}
	return logs
}

// Signing is how an identity signs: where it leaves something out, that is the default.
type Signing struct {
	Subject, Issuer string
	// Logged is how long after the certificate was made the log says that it had the signature; the
	// certificate is good for ten minutes.
	Logged         time.Duration
	NoLog, NoClock bool      // the bundle has no entry of the log, or no time of the clock
	NoProof, NoSET bool      // the entry lacks one of both
	OtherLog       *Sigstore // whose key signs for the log
}

// Bundle is what `cosign sign-blob --bundle` writes without a key.
func (s *Sigstore) Bundle(data []byte, how Signing) string {
	s.t.Helper()
	made := time.Now()
	signed, err := s.ca.SignAtTime(how.Subject, how.Issuer, data, made.Add(how.Logged))
	if err != nil {
		s.t.Fatal(err)
	}
	content, errContent := signed.SignatureContent()
	who, errWho := signed.VerificationContent()
	entries, errEntries := signed.TlogEntries()
	times, errTimes := signed.Timestamps()
	for _, err := range []error{errContent, errWho, errEntries, errTimes} {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	material := &bundlev1.VerificationMaterial{
		Content: &bundlev1.VerificationMaterial_Certificate{Certificate: &commonv1.X509Certificate{RawBytes: who.Certificate().Raw}},
	}
	if !how.NoLog {
		material.TlogEntries = []*rekorv1.TransparencyLogEntry{s.entry(entries[0].TransparencyLogEntry(), how)}
	}
	if !how.NoClock {
		material.TimestampVerificationData = &bundlev1.TimestampVerificationData{
			Rfc3161Timestamps: []*commonv1.RFC3161SignedTimestamp{{SignedTimestamp: times[0]}},
		}
	}
	message := message(content.MessageSignatureContent().Digest(), content.MessageSignatureContent().Signature())
	return written(&bundlev1.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", VerificationMaterial: material, Content: message,
	})
}

// entry has the log's signatures in an entry.
func (s *Sigstore) entry(e *rekorv1.TransparencyLogEntry, how Signing) *rekorv1.TransparencyLogEntry {
	s.t.Helper()
	log := s.ca
	if how.OtherLog != nil {
		log = how.OtherLog.ca
	}
	e.KindVersion = &rekorv1.KindVersion{Kind: "hashedrekord", Version: "0.0.1"}
	if !how.NoSET {
		set, err := log.RekorSignPayload(tlog.RekorPayload{
			Body:           base64.StdEncoding.EncodeToString(e.GetCanonicalizedBody()),
			IntegratedTime: e.GetIntegratedTime(), LogIndex: e.GetLogIndex(), LogID: hex.EncodeToString(e.GetLogId().GetKeyId()),
		})
		if err != nil {
			s.t.Fatal(err)
		}
		e.InclusionPromise = &rekorv1.InclusionPromise{SignedEntryTimestamp: set}
	}
	if !how.NoProof {
		proof, err := log.GetInclusionProof(e.GetCanonicalizedBody())
		if err != nil {
			s.t.Fatal(err)
		}
		rootHash, err := hex.DecodeString(*proof.RootHash)
		if err != nil {
			s.t.Fatal(err)
		}
		e.InclusionProof = &rekorv1.InclusionProof{
			LogIndex: *proof.LogIndex, TreeSize: *proof.TreeSize, RootHash: rootHash, Checkpoint: &rekorv1.Checkpoint{Envelope: *proof.Checkpoint},
		}
	}
	return e
}
