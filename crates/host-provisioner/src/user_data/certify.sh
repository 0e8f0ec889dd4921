#!/bin/bash
# Makes the daemon keys of its own, and certificates for the addresses of this host, which nobody knew before it was launched:
# certify.sh FOLDER ADDRESS...
# What is there came in user data, which others may read. It is used once: the issuer certifies an issuer of the host's own, whose key ends
# with this script, and which certifies the new key of the daemon, with the names and dates of the certificate that is there and the
# addresses beside them. cert.pem holds that certificate, the host's issuer as the given one certifies it, and the same certified by itself,
# which clients trust once they have seen it. The given issuer's key goes, whatever happens.
# openssl is on the ECS-optimised image: its packages amazon-efs-utils and ec2-instance-connect require it (packages_al2023 in
# aws/amazon-ecs-ami, variables.pkr.hcl; amazon-efs-utils.spec in aws/efs-utils; generic.spec in aws/aws-ec2-instance-connect-config).
# Where an image of one's own has none, certificate and key stay as they are.
set -euo pipefail
umask 077
cd "$1"
shift
[[ -e issuer-key.pem ]] || exit 0
mkdir -p new
cd new
trap 'rm -rf ../new ../issuer-key.pem' EXIT
names=$(openssl x509 -in ../cert.pem -noout -ext subjectAltName | tail -n 1)
names=${names//IP Address:/IP:}
for address; do names+=", IP:$address"; done
on() { date -ud "$(openssl x509 -in ../cert.pem -noout "-$1" | cut -d= -f2)" +%Y%m%d%H%M%SZ; }
cat >settings <<END
[ca]
default_ca = host
[host]
new_certs_dir = .
database = index
unique_subject = no
rand_serial = yes
default_md = sha256
default_startdate = $(on startdate)
default_enddate = $(on enddate)
policy = any
[any]
commonName = supplied
[issuer]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[key]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $names
END
: >index
for name in issuer key; do
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=sdocker host's $name" -keyout $name.pem -out $name
done
sign() { openssl ca -batch -notext -config settings -extensions "$1" -in "$1" -out "$2" "${@:3}"; }
sign issuer cross -cert ../issuer.pem -keyfile ../issuer-key.pem
sign issuer root -selfsign -keyfile issuer.pem
sign key cert -cert root -keyfile issuer.pem
cat cert cross root >cert.pem
mv {cert,key}.pem ..
