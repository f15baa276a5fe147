// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_operation.h"

#include <algorithm>
#include <cerrno>

namespace ballast::backend {
namespace {

// A request without data has no bound in the specification but its 32 bits. Servers handle this
// many bytes in reasonable time.
constexpr Bytes most_cleared{std::uint64_t{256} << 20};

}  // namespace

const char* NbdOperation::name() const {
  switch (way_) {
    case Way::read:
      return "read";
    case Way::write:
      return durable_ ? "durable write" : "write";
    case Way::zero:
    case Way::zero_keeping_space:
      return "zero";
    case Way::trim:
      return "trim";
    case Way::flush:
      break;
  }
  return "flush";
}

OpKind NbdOperation::kind() const {
  switch (way_) {
    case Way::read:
      return OpKind::read;
    case Way::write:
      return OpKind::write;
    case Way::zero:
    case Way::zero_keeping_space:
      return OpKind::zero;
    case Way::trim:
      return OpKind::discard;
    case Way::flush:
      break;
  }
  return OpKind::flush;
}

std::size_t NbdOperation::bounce() const {
  const bool moves = way_ == Way::read || way_ == Way::write;
  return moves && view_.contiguous().empty() ? std::min(view_.size(), bounce_size) : 0;
}

void NbdOperation::begin(NbdRequest& request, const NbdOffer& offer, Bytes block,
                         std::span<std::byte> bounce, std::uint64_t losses) {
  if (losses != losses_ && !goes_on_after_a_loss()) {
    begin_anew();
  }
  losses_ = losses;
  if (flushing_ || way_ == Way::flush) {
    request.flush();
    return;
  }
  const bool moves = way_ == Way::read || way_ == Way::write;
  Bytes most = moves ? offer.maximum : most_cleared;
  if (!bounce.empty()) {
    most = std::min(most, Bytes{bounce.size()});
  }
  most -= Bytes{most.value() % block.value()};
  const Bytes at = offset_ + done_;
  part_ = std::min(most, length_ - done_);
  bounce_ = bounce.empty() ? bounce : bounce.first(part_.value());
  const std::span<std::byte> data =
      bounce_.empty() && moves ? view_.slice(done_.value(), part_.value()).contiguous() : bounce_;
  const std::uint32_t fua = fua_ ? LIBNBD_CMD_FLAG_FUA : 0;
  touched_ |= is_change();
  switch (way_) {
    case Way::read:
      request.read(at, data);
      break;
    case Way::write:
      if (!bounce_.empty()) {
        io::copy(bounce_, view_.slice(done_.value(), part_.value()));
      }
      request.write(at, data, fua);
      break;
    case Way::zero:
      request.zero(at, part_, fua);
      break;
    case Way::zero_keeping_space:
      request.zero(at, part_, fua | LIBNBD_CMD_FLAG_NO_HOLE);
      break;
    case Way::trim:
      request.trim(at, part_, fua);
      break;
    case Way::flush:
      break;
  }
}

void NbdOperation::took(int error, std::uint64_t losses) {
  if (error == ENOTCONN && !once_) {
    if (!goes_on_after_a_loss()) {
      begin_anew();
    }
    return;
  }
  if (error != 0) {
    error_ = error == ENOTCONN ? EIO : error;
    ended_ = true;
    return;
  }
  if (losses != losses_ && !goes_on_after_a_loss() && way_ != Way::flush) {
    begin_anew();
    return;
  }
  if (!flushing_ && way_ != Way::flush) {
    if (way_ == Way::read && !bounce_.empty()) {
      io::copy(view_.slice(done_.value(), part_.value()), bounce_);
    }
    done_ += part_;
    if (done_ < length_) {
      return;
    }
    flushing_ = flush_at_end_;
  } else {
    flushing_ = false;
  }
  ended_ = !flushing_;
}

void NbdOperation::begin_anew() {
  done_ = Bytes{};
  flushing_ = false;
}

}  // namespace ballast::backend
