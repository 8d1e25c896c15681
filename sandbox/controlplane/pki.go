package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// lifetime of every certificate; a sandbox is not kept for longer.
const lifetime = 30 * 24 * time.Hour

// authority signs certificates. Its key never leaves memory.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// pair is a certificate with its key, PEM encoded.
type pair struct{ cert, key []byte }

// access is what one needs to reach the API server as an administrator.
type access struct {
	host   string
	ca     []byte
	admin  pair
	signer *authority
}

// issue makes all keys and certificates, and writes those that the API server reads
// from files, and the kubeconfig.
func issue(dir *stateDir, address *net.TCPAddr) (access, error) {
	ca, err := newAuthority("penstock-sandbox")
	if err != nil {
		return access{}, err
	}
	front, err := newAuthority("penstock-sandbox-front-proxy")
	if err != nil {
		return access{}, err
	}
	a := access{host: "https://" + address.String(), ca: ca.pem, signer: ca}
	if a.admin, err = ca.client("penstock-sandbox-admin", "system:masters"); err != nil {
		return access{}, err
	}
	server, err := ca.server(address.IP)
	if err != nil {
		return access{}, err
	}
	proxy, err := front.client(frontProxyName)
	if err != nil {
		return access{}, err
	}
	_, accountKey, err := newKey()
	if err != nil {
		return access{}, err
	}
	for name, content := range map[string][]byte{
		"ca.crt": ca.pem, "front-proxy-ca.crt": front.pem,
		"server.crt": server.cert, "server.key": server.key,
		"front-proxy.crt": proxy.cert, "front-proxy.key": proxy.key,
		"service-account.key": accountKey,
	} {
		if _, err := dir.write(name, content); err != nil {
			return access{}, err
		}
	}
	return a, a.write(dir.kubeconfig(), a.admin)
}

// issueUser makes a certificate for one more user, and a kubeconfig around it.
func (a access) issueUser(dir *stateDir, user string, groups ...string) (path string, err error) {
	as, err := a.signer.client(user, groups...)
	if err != nil {
		return "", err
	}
	path = dir.file("kubeconfig-" + user)
	return path, a.write(path, as)
}

func (a access) write(path string, as pair) error {
	if err := clientcmd.WriteToFile(a.kubeconfig(as), path); err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	return nil
}

func (a access) restConfig() *rest.Config {
	return &rest.Config{
		Host:            a.host,
		TLSClientConfig: rest.TLSClientConfig{CAData: a.ca, CertData: a.admin.cert, KeyData: a.admin.key},
		QPS:             -1,
	}
}

func (a access) kubeconfig(as pair) clientcmdapi.Config {
	const name = "penstock-sandbox"
	c := clientcmdapi.NewConfig()
	c.Clusters[name] = &clientcmdapi.Cluster{Server: a.host, CertificateAuthorityData: a.ca}
	c.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: as.cert, ClientKeyData: as.key}
	c.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	c.CurrentContext = name
	return *c
}

func newAuthority(name string) (*authority, error) {
	key, _, err := newKey()
	if err != nil {
		return nil, err
	}
	template := blank(name)
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate authority %s: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority %s: %w", name, err)
	}
	return &authority{certificate: certificate, key: key, pem: encode("CERTIFICATE", der)}, nil
}

func (a *authority) client(name string, groups ...string) (pair, error) {
	template := blank(name)
	template.Subject.Organization = groups
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

func (a *authority) server(ip net.IP) (pair, error) {
	template := blank("kube-apiserver")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.IPAddresses = []net.IP{ip}
	template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	return a.sign(template)
}

func (a *authority) sign(template *x509.Certificate) (pair, error) {
	key, encoded, err := newKey()
	if err != nil {
		return pair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, fmt.Errorf("sign certificate %s: %w", template.Subject.CommonName, err)
	}
	return pair{cert: encode("CERTIFICATE", der), key: encoded}, nil
}

func blank(name string) *x509.Certificate {
	// A serial of 62 random bits is unique enough, and rand.Read does not fail.
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) //nolint:errcheck // see above
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
	}
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return key, encode("EC PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
