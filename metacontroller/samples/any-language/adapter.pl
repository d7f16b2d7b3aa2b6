#!/usr/bin/perl -w
# An adapter in ten lines of Perl, with only the packages of a plain Debian. It sends an event every second, repeats an
# event until the sink accepts it, and answers the probes of the kubelet. Its only input is the environment:
# docs/reference/environment.md.
use strict; use IO::Socket::IP;
my ($host, $port, $path) = ($ENV{K_SINK} // "") =~ m{^http://([^:/]+):?(\d*)(.*)} or die "K_SINK: write an http URL\n";
my %listen = (LocalHost => -e "/proc/net/if_inet6" ? "::" : "0.0.0.0", V6Only => 0, Listen => 9, ReuseAddr => 1); # IPv4, too
my $probes = IO::Socket::IP->new(%listen, LocalPort => $ENV{HEALTH_PORT} || 8080) or die "$@\n";
my $child = fork // die "$!\n"; while (!$child) { my $probe = $probes->accept or next; 1 until <$probe> !~ /\S/; print $probe "HTTP/1.0 200 OK\r\n\r\n" }
$SIG{TERM} = $SIG{INT} = sub { kill KILL => $child; exit 0 };
for (my $n = 0;; sleep 1) {
    next unless my $sink = IO::Socket::IP->new(PeerAddr => $host, PeerPort => $port || 80, Timeout => 10);
    my %ce = (specversion => "1.0", type => "com.example.perl", source => $ENV{EVENT_SOURCE}, id => "$ENV{SOURCE_UID}-$n");
    print $sink "POST ", $path || "/", " HTTP/1.0\r\nHost: $host\r\nContent-Length: 0\r\n", map({ "ce-$_: $ce{$_}\r\n" } keys %ce), "\r\n";
    $n++ if (<$sink> // "") =~ m{^HTTP/1\.\d 2};
}
