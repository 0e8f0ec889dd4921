#!/bin/bash
# Gives the daemon a certificate for the addresses of this host, which nobody knew before it was launched: certify.sh FOLDER ADDRESS...
# The certificate that is there is signed anew, with its key, names and dates, and the addresses beside them. The issuer's key goes,
# whatever happens. openssl is on the ECS-optimised image: its packages amazon-efs-utils and ec2-instance-connect require it (packages_al2023 in
# aws/amazon-ecs-ami, variables.pkr.hcl; amazon-efs-utils.spec in aws/efs-utils; generic.spec in aws/aws-ec2-instance-connect-config).
# Where an image of one's own has none, the certificate stays as it is.
set -euo pipefail
cd "$1"
shift
[[ -e issuer-key.pem ]] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work" issuer-key.pem' EXIT
names=$(openssl x509 -in cert.pem -noout -ext subjectAltName | tail -n 1)
names=${names//IP Address:/IP:}
for address; do names+=", IP:$address"; done
on() { date -ud "$(openssl x509 -in cert.pem -noout "-$1" | cut -d= -f2)" +%Y%m%d%H%M%SZ; }
cat >"$work/settings" <<END
[ca]
default_ca = host
[host]
new_certs_dir = $work
database = $work/index
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $names
END
: >"$work/index"
openssl req -new -key key.pem -subj "/CN=sdocker host" -out "$work/request"
openssl ca -batch -notext -config "$work/settings" -cert issuer.pem -keyfile issuer-key.pem \
    -startdate "$(on startdate)" -enddate "$(on enddate)" -in "$work/request" -out "$work/cert.pem"
install -m 600 "$work/cert.pem" cert.pem
