// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/backend/error_log.h"
#include "lib/backend/nbd_extents.h"
#include "lib/backend/nbd_links.h"
#include "lib/backend/nbd_operation.h"
#include "lib/backend/nbd_traits.h"
#include "lib/backend/op_status.h"
#include "lib/base/log.h"
#include "lib/co/gate.h"
#include "lib/io/bounce.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/scratch.h"

namespace ballast::backend {
namespace {

using Way = NbdOperation::Way;

// A request for the block status asks for this many bytes at most: its length has 32 bits.
constexpr Bytes most_status{std::uint64_t{2} << 30};
// A server that sends more pairs than this for one request is not believed.
constexpr std::size_t most_pairs = std::size_t{1} << 20;
// How long a resize waits for new connections.
constexpr Nanoseconds resize_patience = std::chrono::seconds{5};
// How often an export that became too small is looked at again, at most.
constexpr Nanoseconds renew_interval = std::chrono::seconds{1};

// What the LUN relies on. Its size is the LUN's.
NbdOffer promise(const NbdStore& store) {
  NbdOffer promised = store.peers.front().offer;
  promised.size = store.size;
  return promised;
}

class Nbd final : public Backend {
 public:
  Nbd(NbdStore store, const OpenContext& context);

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "nbd: " + describe(config_); }
  Connection connection() const override { return links_.state(); }
  co::Task<std::string> waits_for(Nanoseconds) override { co_return links_.waits_for(); }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override {
    return carry_out(NbdOperation::move(Way::read, offset, to), cancel);
  }
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua,
                           co::CancelToken cancel) override {
    return start_write(offset, from, fua, cancel, false);
  }
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, Fua fua,
                                co::CancelToken cancel) override {
    return start_write(offset, from, fua, cancel, true);
  }
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  co::Task<IoStatus> carry_out(NbdOperation operation, co::CancelToken cancel);
  co::Task<IoStatus> start_write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel,
                                 bool once);
  co::Task<int> ask_status(Bytes offset, Bytes length, std::vector<std::uint32_t>* pairs);
  co::Task<IoStatus> end_with(IoStatus status) { co_return status; }
  void note_error(NbdConnection& connection, int error);
  bool fits(const NbdConnection& connection, const char* operation, Bytes offset, Bytes length);
  IoStatus finish(const NbdOperation& operation);
  co::Task<IoStatus> leave();
  void connection_lost();

  co::Executor& executor_;
  io::BufferPool& buffers_;
  io::ScratchPool reserve_;  // for what the pool has no buffer at once (io::Bounce)
  const std::string lun_;
  const NbdConfig config_;
  NbdOffer promised_;  // what the LUN relies on; its size is the LUN's
  Geometry geometry_;
  const Capabilities capabilities_;
  StoreClaim claim_;
  co::Gate running_;
  ErrorLog errors_;
  NbdLinks links_;
  TimePoint renewed_{};             // when a range did not fit and links_ were renewed
  std::uint64_t acknowledged_ = 0;  // changes that ended well without being durable
  std::uint64_t flushed_ = 0;       // how many of them a flush has covered
  std::uint64_t told_of_ = 0;       // the same, or a flush that failed
  std::uint64_t lost_up_to_ = 0;    // how many of them had been there at the last loss
  IoStatus lost_ = IoStatus::ok;    // not ok: some of them may be lost; how every flush ends
};

Nbd::Nbd(NbdStore store, const OpenContext& context)
    : executor_{context.executor},
      buffers_{context.buffers},
      reserve_{executor_, "a buffer of the NBD LUN's own"},
      lun_{store.lun},
      config_{store.config},
      promised_{promise(store)},
      geometry_{nbd_geometry(promised_, store.size, store.logical_block)},
      capabilities_{nbd_capabilities(promised_, config_.exclusive)},
      claim_{std::move(store.claim)},
      running_{executor_, "an NBD export's last operation"},
      errors_{executor_, config_.server},
      links_{executor_,
             context.uring,
             {.lun = lun_, .config = config_, .logical_block = store.logical_block},
             promised_,
             std::move(store.peers),
             {.lost = [this] { connection_lost(); },
              .flushed = [this](std::uint64_t mark) { flushed_ = std::max(flushed_, mark); }}} {}

void Nbd::connection_lost() {
  if (acknowledged_ == flushed_ || !capabilities_.volatile_cache) {
    return;
  }
  lost_up_to_ = acknowledged_;
  if (ok(lost_)) {
    log(LogLevel::error,
        "{}: the server had acknowledged changes that no flush has made durable; if it has "
        "restarted, they may be lost; every flush fails until the LUN is opened again",
        lun_);
    lost_ = IoStatus::medium_error;
  }
}

void Nbd::note_error(NbdConnection& connection, int error) {
  if (error == ESHUTDOWN) {
    connection.drop("the server is shutting down");
  }
}

// --- operations on data

co::Task<IoStatus> Nbd::carry_out(NbdOperation operation, co::CancelToken cancel) {
  const co::Gate::Guard inside{running_};
  links_.start();
  io::Bounce bounce;
  if (operation.bounce() > 0) {
    const int taken = co_await bounce.take(buffers_, reserve_, operation.bounce(), cancel);
    if (taken < 0) {
      co_return taken == -ECANCELED ? IoStatus::cancelled : IoStatus::no_resource;
    }
  }
  while (!operation.ended()) {
    if (operation.kind() == OpKind::flush && !ok(lost_)) {
      co_return lost_;
    }
    NbdConnection* const connection = links_.usable();
    if (connection != nullptr) {
      if (!fits(*connection, operation.name(), operation.offset(), operation.length())) {
        // The other status promises that nothing was done.
        co_return operation.touched() ? IoStatus::medium_error : IoStatus::out_of_range;
      }
      NbdRequest request{*connection, operation.name()};
      operation.begin(request, connection->offer(), geometry_.logical_block, bounce.memory(),
                      links_.losses());
      const int error = co_await request;
      note_error(*connection, error);
      operation.took(error == ESHUTDOWN ? ENOTCONN : error, links_.losses());
      continue;
    }
    if (links_.closing()) {
      co_return operation.touched() ? IoStatus::medium_error : IoStatus::not_ready;
    }
    // A change that may have happened must not end with `cancelled`.
    const bool woken = co_await links_.wait(operation.touched() ? co::CancelToken{} : cancel);
    if (!woken) {
      co_return IoStatus::cancelled;
    }
  }
  co_return finish(operation);
}

// Whether the export has this range. The server may have come back with a smaller one. Somebody may
// have put that right since, and a new connection shows it.
bool Nbd::fits(const NbdConnection& connection, const char* operation, Bytes offset, Bytes length) {
  if (offset + length <= connection.offer().size) {
    return true;
  }
  errors_.report(operation, offset, length,
                 "it is past the end of the export, which was made smaller");
  if (executor_.now() - renewed_ >= renew_interval) {
    renewed_ = executor_.now();
    links_.renew(acknowledged_);
  }
  return false;
}

IoStatus Nbd::finish(const NbdOperation& operation) {
  const int error = operation.error();
  if (error == 0) {
    acknowledged_ += operation.is_change() && !operation.is_durable() ? 1U : 0U;
    return IoStatus::ok;
  }
  if (error == ENOTSUP && operation.kind() == OpKind::zero) {
    return IoStatus::not_supported;
  }
  errors_.report(operation.name(), operation.offset(), operation.length(), std::strerror(error));
  // The statuses which promise that nothing was done are not for a change: NBD does not promise it.
  const bool unclear = error == ENOMEM || error == EAGAIN || error == EBUSY || error == ECANCELED ||
                       error == EINTR || error == ENOTSUP || error == EFBIG;
  if (unclear && (operation.is_change() || operation.kind() == OpKind::flush)) {
    return IoStatus::medium_error;
  }
  return status_from_errno(operation.kind(), error);
}

co::Task<IoStatus> Nbd::start_write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel,
                                    bool once) {
  if (capabilities_.read_only) {
    return end_with(IoStatus::write_protected);
  }
  NbdOperation operation = NbdOperation::move(Way::write, offset, from);
  if (fua == Fua::yes) {
    operation.make_durable(promised_);
  }
  if (once) {
    operation.do_once();
  }
  return carry_out(operation, cancel);
}

co::Task<IoStatus> Nbd::zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                             co::CancelToken cancel) {
  if (capabilities_.read_only) {
    return end_with(IoStatus::write_protected);
  }
  if (!capabilities_.zero) {
    return end_with(IoStatus::not_supported);
  }
  NbdOperation operation = NbdOperation::clear(
      may_unmap == MayUnmap::yes ? Way::zero : Way::zero_keeping_space, offset, length);
  operation.make_durable(promised_);
  return carry_out(operation, cancel);
}

co::Task<IoStatus> Nbd::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  if (!capabilities_.discard) {
    return end_with(IoStatus::not_supported);
  }
  if (capabilities_.discard_zeroes) {
    return zero(offset, length, MayUnmap::yes, cancel);
  }
  NbdOperation operation = NbdOperation::clear(Way::trim, offset, length);
  operation.make_durable(promised_);
  return carry_out(operation, cancel);
}

co::Task<IoStatus> Nbd::flush(co::CancelToken cancel) {
  if (!promised_.flush) {
    co_return IoStatus::ok;  // the server has nothing to flush
  }
  const std::uint64_t covered = acknowledged_;
  IoStatus status = co_await carry_out(NbdOperation::flush(), cancel);
  if (ok(status)) {
    // A loss meanwhile may have taken what this flush was to cover.
    status = lost_;
  }
  if (ok(status)) {
    flushed_ = std::max(flushed_, covered);
  }
  if (status != IoStatus::cancelled && status != IoStatus::not_ready) {
    told_of_ = std::max(told_of_, covered);
  }
  co_return status;
}

// The last operation has ended. Returns how the next flush of the store must end.
co::Task<IoStatus> Nbd::leave() {
  const IoStatus untold = lost_up_to_ > told_of_ ? lost_ : IoStatus::ok;
  if (acknowledged_ == flushed_ || !promised_.flush) {
    co_return untold;
  }
  lost_ = IoStatus::ok;  // it keeps no flush from the server any more
  const IoStatus status = co_await flush({});
  if (ok(untold) && !ok(status)) {
    log(LogLevel::error,
        "{}: the LUN is closed, and the server has not made durable what it had acknowledged; the "
        "LUN's next flush will fail, so that the initiator learns of it",
        lun_);
  }
  co_return ok(status) ? untold : IoStatus::medium_error;
}

// --- block status

co::Task<int> Nbd::ask_status(Bytes offset, Bytes length, std::vector<std::uint32_t>* pairs) {
  for (;;) {
    NbdConnection* const connection = links_.usable();
    if (connection == nullptr) {
      if (links_.closing()) {
        co_return ESHUTDOWN;
      }
      (void)co_await links_.wait({});
      continue;
    }
    if (!connection->offer().block_status) {
      co_return ENOTSUP;
    }
    if (!fits(*connection, "block status", offset, length)) {
      co_return EFBIG;
    }
    pairs->clear();
    NbdRequest request{*connection, "block status"};
    request.block_status(offset, length, most_pairs, pairs);
    const int error = co_await request;
    note_error(*connection, error);
    if (error != ENOTCONN && error != ESHUTDOWN) {
      co_return error;
    }
  }
}

co::Task<IoStatus> Nbd::block_status(Bytes offset, Bytes length, std::size_t limit,
                                     std::vector<Extent>* out) {
  if (!capabilities_.block_status) {
    co_return IoStatus::not_supported;
  }
  const co::Gate::Guard inside{running_};
  links_.start();
  std::vector<Extent> found;
  std::vector<std::uint32_t> pairs;
  Bytes at = offset;
  const Bytes end = offset + length;
  while (at < end && found.size() < limit) {
    const int error = co_await ask_status(at, std::min(end - at, most_status), &pairs);
    const Bytes before = at;
    if (error == 0) {
      at = append_extents(pairs, at, end, geometry_.logical_block, &found);
    }
    if (error != 0 || at == before) {
      const char* const why = error != 0 ? std::strerror(error) : "the server's answer is empty";
      errors_.report("block status", offset, length, why);
      co_return status_from_errno(OpKind::block_status, error != 0 ? error : EIO);
    }
  }
  found.resize(std::min(found.size(), limit));
  out->insert(out->end(), found.begin(), found.end());
  co_return IoStatus::ok;
}

// --- the rest

co::Task<IoStatus> Nbd::resize(Bytes size) {
  const co::Gate::Guard inside{running_};
  links_.start();
  if (size > links_.smallest_export()) {
    co_await links_.renew_and_wait(acknowledged_, resize_patience);
  }
  if (links_.smallest_export() == Bytes{}) {
    log(LogLevel::error,
        "{}: cannot grow to {} bytes: within {} s no new connection to {} came about, which would "
        "show its size: try again when the server answers",
        lun_, size.value(), resize_patience.count() / 1'000'000'000, describe(config_));
    co_return IoStatus::not_ready;
  }
  if (size > links_.smallest_export()) {
    log(LogLevel::error, "{}: cannot grow to {} bytes: {} has {}: enlarge it on the server first",
        lun_, size.value(), describe(config_), links_.smallest_export().value());
    co_return IoStatus::no_space;
  }
  geometry_.size = size;
  promised_.size = size;
  co_return IoStatus::ok;
}

co::Task<void> Nbd::close() {
  links_.stop_connecting();
  co_await running_.drain();
  const IoStatus left = co_await leave();
  if (!ok(left)) {
    claim_.unheard_flush()->store(left, std::memory_order_relaxed);
  }
  flushed_ = acknowledged_;  // the next user's affair
  running_.close();
  co_await links_.close();
  claim_.release();
}

}  // namespace

std::unique_ptr<Backend> make_nbd(NbdStore store, const OpenContext& context) {
  return std::make_unique<Nbd>(std::move(store), context);
}

}  // namespace ballast::backend
