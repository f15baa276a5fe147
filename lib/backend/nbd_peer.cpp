// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_peer.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>

namespace ballast::backend {
namespace {

// So many repetitions in a row went unanswered. One or two happen on any network.
constexpr unsigned enough = 3;

}  // namespace

// The time since the last acknowledgement also grows while nothing is sent. So it counts only
// together with repetitions: of data, or of probes of a closed window. Both counts go back to 0
// with an answer. The pauses between probes grow to two minutes.
bool is_gone(const tcp_info& info, Nanoseconds patience) {
  const bool unacknowledged = info.tcpi_unacked > 0 && info.tcpi_retransmits >= enough;
  const bool unprobed = info.tcpi_probes >= enough;
  return (unacknowledged || unprobed) &&
         std::chrono::milliseconds{info.tcpi_last_ack_recv} >= patience;
}

bool peer_is_gone(int fd, Nanoseconds patience) {
  tcp_info info{};
  socklen_t length = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && is_gone(info, patience);
}

}  // namespace ballast::backend
