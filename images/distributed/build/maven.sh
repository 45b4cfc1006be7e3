#!/bin/sh
# Makes the JARs of a pom.xml into target/: maven.sh DIRECTORY REPOSITORY [OPTION...]. The secret `ca` (a PEM bundle) is what Maven trusts
# beside Java's own authorities; its keystore lies in a directory that the caller takes away.
set -eu
directory=$1 repository=$2
shift 2
if [ -s /run/secrets/ca ]; then
    python3 /build/truststore.py /tmp/trust/authorities.jks /run/secrets/ca /etc/ssl/certs/ca-certificates.crt >/dev/null
    MAVEN_OPTS="${MAVEN_OPTS:-} -Djavax.net.ssl.trustStore=/tmp/trust/authorities.jks -Djavax.net.ssl.trustStorePassword=changeit"
    export MAVEN_OPTS
fi
# Its plugins by name, no phase: a phase would bring plugins that nobody has pinned.
plugins=org.apache.maven.plugins
exec mvn --batch-mode --no-transfer-progress --quiet -Dmaven.repo.local="$repository" --file "$directory/pom.xml" "$@" \
    $plugins:maven-jar-plugin:jar $plugins:maven-shade-plugin:shade $plugins:maven-dependency-plugin:copy
