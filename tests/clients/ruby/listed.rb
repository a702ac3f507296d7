# The titles of all concerts, asked for by TLS with the certificate of the edge, by a client that is generated from proto/; and that nobody is
# answered without one.
#
#     KEYS=<the folder `edge` of `boxoffice keys`> ruby -I <generated> listed.rb BOOKING     as host:port

require "grpc"
require "boxoffice/booking/v1/booking_services_pb"

Booking = Boxoffice::Booking::V1
authority, key, certificate = %w[ca.crt tls.key tls.crt].map { |file| File.read(File.join(ENV.fetch("KEYS"), file)) }
known = Booking::BookingService::Stub.new(ARGV[0], GRPC::Core::ChannelCredentials.new(authority, key, certificate), timeout: 20)
known.list_concerts(Booking::ListConcertsRequest.new).concerts.each { |concert| puts concert.title }

unknown = Booking::BookingService::Stub.new(ARGV[0], GRPC::Core::ChannelCredentials.new(authority), timeout: 20)
begin
  unknown.list_concerts(Booking::ListConcertsRequest.new)
  abort "answered without a certificate"
rescue GRPC::Unavailable
  # As it must be.
end
