package snapshot

import (
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// A listener refuses clients without a certificate where require_client_certificate says so, and
// also where it is to compare something of a certificate: its names or its hash, say. A CA alone is
// for those that have one. (DefaultCertValidator::initializeSslContexts in
// source/common/tls/cert_validator/default_validator.cc, and the same of the SPIFFE validator,
// Envoy 1.40.0.)

const mutual = "it wants a certificate of its clients (mutual TLS"

// wantsCertificate says that connections without a certificate are refused, and why; "" where they
// are not.
func (w *ways) wantsCertificate(tls *tlsv3.DownstreamTlsContext) string {
	const noneToAsk = "), and a proxy has none to ask the checks with"
	if tls.GetRequireClientCertificate().GetValue() {
		return mutual + noneToAsk
	}
	context, known := w.validation(tls.GetCommonTlsContext())
	if !known {
		return mutual + ", perhaps: its validation context is not in the fleet" + noneToAsk
	}
	if field := compared(context); field != "" {
		return mutual + ": " + field + " in its validation context" + noneToAsk
	}
	return ""
}

// compared is the field by which a validation context compares something of a certificate, "" for none.
func compared(context *tlsv3.CertificateValidationContext) string {
	if context.GetCustomValidatorConfig() != nil {
		return "custom_validator_config"
	}
	if context.GetTrustChainVerification() == tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED {
		return "" // such clients are let in
	}
	switch {
	case len(context.GetMatchTypedSubjectAltNames()) > 0:
		return "match_typed_subject_alt_names"
	case len(context.GetMatchSubjectAltNames()) > 0: //nolint:staticcheck // deprecated, still taken
		return "match_subject_alt_names"
	case len(context.GetVerifyCertificateHash()) > 0:
		return "verify_certificate_hash"
	case len(context.GetVerifyCertificateSpki()) > 0:
		return "verify_certificate_spki"
	}
	return ""
}

// validation is how clients' certificates are looked at, with what comes by SDS; known is whether
// the fleet has that.
func (w *ways) validation(common *tlsv3.CommonTlsContext) (context *tlsv3.CertificateValidationContext, known bool) {
	bySDS := common.GetValidationContextSdsSecretConfig()
	context = common.GetValidationContext()
	if combined := common.GetCombinedValidationContext(); combined != nil {
		context, bySDS = proto.CloneOf(combined.GetDefaultValidationContext()), combined.GetValidationContextSdsSecretConfig()
	}
	if bySDS == nil {
		return context, true
	}
	r := w.of.Get(resource.SecretType, bySDS.GetName())
	if r == nil || bySDS.GetSdsConfig().GetAds() == nil && bySDS.GetSdsConfig().GetSelf() == nil {
		return context, false
	}
	secret, _ := fleet.Content(r.Wire.GetResource()).(*tlsv3.Secret)
	if context == nil {
		return secret.GetValidationContext(), true
	}
	proto.Merge(context, secret.GetValidationContext()) // as Envoy does
	return context, true
}
