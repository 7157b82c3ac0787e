package fleet

import (
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/generic_proxy/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	"go.yaml.in/yaml/v3"
)

// refuseFormats reports texts with %COMMAND%s that are none, in access logs, headers, bodies
// and traces.
func (p *parser) refuseFormats(m proto.Message, n *yaml.Node) {
	own := formatReader{parser: p, others: p.generic[n]}
	switch m := m.(type) {
	case *genericv3.GenericProxy:
		visit(m, n, func(_ proto.Message, n *yaml.Node, _ bool) { p.generic[n] = true })
	case *corev3.SubstitutionFormatString:
		own.others = own.others || len(m.GetFormatters()) > 0
		own.text(m.GetTextFormat(), lineOf(n, "text_format")) //nolint:staticcheck // deprecated, but Envoy still reads it
		own.text(string(inline(m.GetTextFormatSource())), lineOf(n, "text_format_source", "inline_string"))
		own.free(m.GetJsonFormat(), orElse(child(n, "json_format"), n))
	case *filelogv3.FileAccessLog:
		own.fileLog(m, n)
	case *tracingv3.CustomTag:
		own.text(m.GetValue(), lineOf(n, "value"))
	case *hcmv3.HttpConnectionManager_Tracing:
		own.text(m.GetOperation(), lineOf(n, "operation"))
		own.text(m.GetUpstreamOperation(), lineOf(n, "upstream_operation"))
	case *corev3.HeaderValueOption:
		own.text(withoutLists(m.GetHeader().GetValue()), lineOf(n, "header", "value"))
		//nolint:staticcheck // deprecated, but Envoy still reads it
		if m.GetAppend() != nil && m.GetAppendAction() != corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			p.add(lineOf(n, "append_action"), "header %q: append and append_action exclude each other", m.GetHeader().GetKey())
		}
	}
}

// A formatReader reads one format; with others, formatters of a proxy's may have commands of
// their own, as the generic proxy has. (Its commands are %METHOD%, %REQUEST_PROPERTY(KEY)% and so on.)
type formatReader struct {
	*parser
	others bool
}

// command is one in a text, as Envoy looks for it.
// (Envoy: commandWithArgsRegex in source/common/formatter/substitution_formatter.cc.)
var command = regexp.MustCompile(`^%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%`)

func (f formatReader) text(text string, line int) {
	for at := strings.IndexByte(text, '%'); at >= 0; at = strings.IndexByte(text, '%') {
		if text = text[at:]; strings.HasPrefix(text, "%%") {
			text = text[2:]
			continue
		}
		found := command.FindStringSubmatch(text)
		if found == nil {
			f.add(line, "format: no command like %%START_TIME%% or %%REQ(:PATH)%% begins here (for a percent sign write %%%%): %.40q", text)
			return
		}
		f.command(found[1], found[2], found[3], line)
		text = text[len(found[0]):]
	}
}

// fileLog reads the fields that log_format has taken the place of; Envoy still reads them.
//
//nolint:staticcheck // deprecated
func (f formatReader) fileLog(m *filelogv3.FileAccessLog, n *yaml.Node) {
	f.text(m.GetFormat(), lineOf(n, "format"))
	f.free(m.GetJsonFormat(), orElse(child(n, "json_format"), n))
	f.free(m.GetTypedJsonFormat(), orElse(child(n, "typed_json_format"), n))
}

func (f formatReader) command(name, parameters, length string, line int) {
	syntax, known := formatCommands[name]
	switch {
	case !known && !f.others:
		f.add(line, "format: %%%s%% is no command that Envoy has", name)
	case syntax == nothing && (parameters != "" || length != ""):
		f.add(line, "format: %%%s%% takes no parameters and no length", name)
	case syntax == withParameters && parameters == "":
		f.add(line, "format: %%%s(…)%% has parameters", name)
	case syntax == withoutLength && length != "":
		f.add(line, "format: %%%s%% takes no length", name)
	}
}

// free reads every text in free-form data.
func (f formatReader) free(s *structpb.Struct, n *yaml.Node) {
	for key, value := range s.GetFields() {
		f.value(value, child(n, key), lineOf(n, key))
	}
}

func (f formatReader) value(v *structpb.Value, n *yaml.Node, line int) {
	if n == nil {
		n = &yaml.Node{Line: line}
	}
	f.text(v.GetStringValue(), line)
	f.free(v.GetStructValue(), n)
	for i, one := range v.GetListValue().GetValues() {
		f.value(one, item(n, i), lineOf(n, i))
	}
}

// Headers have an older spelling of some commands, and one command, besides.
var (
	inList = regexp.MustCompile(`%(UPSTREAM_METADATA|DYNAMIC_METADATA)\(\[.*?\]\)%`)
	state  = regexp.MustCompile(`%PER_REQUEST_STATE\(.*?\)%`)
)

func withoutLists(text string) string {
	return state.ReplaceAllString(inList.ReplaceAllString(text, ""), "")
}
