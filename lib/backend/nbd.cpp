// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/backend/error_log.h"
#include "lib/backend/nbd_extents.h"
#include "lib/backend/nbd_link.h"
#include "lib/backend/nbd_operation.h"
#include "lib/backend/op_status.h"
#include "lib/base/log.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/sleep.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"

namespace ballast::backend {
namespace {

using Way = NbdOperation::Way;

// A request for the block status asks for this many bytes at most: its length has 32 bits.
constexpr Bytes most_status{std::uint64_t{2} << 30};
// A server that sends more pairs than this for one request is not believed.
constexpr std::size_t most_pairs = std::size_t{1} << 20;
// How long a resize waits for new connections.
constexpr Nanoseconds resize_patience = std::chrono::seconds{5};

Geometry geometry_of(const NbdStore& store) {
  const NbdOffer& offer = store.peers.front().offer;
  const std::uint64_t preferred = offer.preferred.value();
  const bool plausible = preferred <= 65536 && (preferred & (preferred - 1)) == 0;
  const Bytes physical{plausible && preferred != 0 ? preferred : 4096};
  Geometry geometry{.size = store.size,
                    .logical_block = store.logical_block,
                    .physical_block = std::max(physical, store.logical_block),
                    .discard_granularity = Bytes{}};
  if (offer.trim) {
    geometry.discard_granularity = geometry.physical_block;
  }
  return geometry;
}

// TRIM promises nothing about what is read afterwards. WRITE_ZEROES without NO_HOLE gives space
// back where the server can, and promises zeros. So it serves for both where the server has it.
Capabilities capabilities_of(const NbdStore& store) {
  const NbdOffer& offer = store.peers.front().offer;
  const bool changes = !offer.read_only;
  return Capabilities{.read_only = offer.read_only,
                      .discard = changes && offer.trim,
                      .discard_zeroes = changes && offer.trim && offer.zero,
                      .zero = changes && offer.zero,
                      .zero_unmaps = changes && offer.trim && offer.zero,
                      .fua = changes && (offer.fua || offer.flush),
                      .volatile_cache = changes && offer.flush,
                      .write_through = true,
                      .block_status = offer.block_status,
                      .exclusive = store.config.exclusive == NbdConfig::Exclusive::server};
}

class Nbd final : public Backend, private NbdLink::Listener {
 public:
  Nbd(NbdStore store, const OpenContext& context);

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "nbd: " + describe(config_); }

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
  void start();
  NbdConnection* usable() const;
  void note_error(NbdConnection& connection, int error);
  IoStatus finish(const NbdOperation& operation);
  Bytes smallest_export() const;
  void link_lost() override;
  void link_found() override { usable_.set(); }

  co::Executor& executor_;
  io::BufferPool& buffers_;
  const std::string lun_;
  const NbdConfig config_;
  NbdOffer promised_;  // what the LUN relies on; its size is the LUN's
  Geometry geometry_;
  const Capabilities capabilities_;
  StoreClaim claim_;
  co::Gate running_;
  co::Event usable_;  // a connection is up, or closing_
  ErrorLog errors_;
  std::vector<std::unique_ptr<NbdLink>> links_;
  co::TaskGroup keepers_;
  bool started_ = false;
  bool closing_ = false;
  std::uint64_t losses_ = 0;        // connections lost so far
  std::uint64_t acknowledged_ = 0;  // changes that ended well without being durable
  std::uint64_t flushed_ = 0;       // how many of them a flush has covered
  IoStatus lost_ = IoStatus::ok;    // not ok: some of them may be lost; how every flush ends
};

Nbd::Nbd(NbdStore store, const OpenContext& context)
    : executor_{context.executor},
      buffers_{context.buffers},
      lun_{store.lun},
      config_{store.config},
      promised_{store.peers.front().offer},
      geometry_{geometry_of(store)},
      capabilities_{capabilities_of(store)},
      claim_{std::move(store.claim)},
      running_{executor_, "an NBD export's last operation"},
      usable_{executor_, "a connection to the NBD server"},
      errors_{executor_, config_.server},
      keepers_{executor_} {
  promised_.size = store.size;
  const NbdLink::Setup setup{.lun = lun_, .config = config_, .logical_block = store.logical_block};
  NbdLink::Listener& self = *this;
  for (NbdPeer& peer : store.peers) {
    links_.push_back(std::make_unique<NbdLink>(executor_, context.uring, setup, promised_,
                                               std::move(peer), self));
  }
  usable_.set();
}

// The first operation does this, because a backend that was never used may be destroyed unclosed.
void Nbd::start() {
  if (!std::exchange(started_, true)) {
    for (const std::unique_ptr<NbdLink>& link : links_) {
      keepers_.spawn("nbd: connection", link->keep());
    }
  }
}

// The connection with the fewest requests; null while there is none.
NbdConnection* Nbd::usable() const {
  NbdConnection* best = nullptr;
  for (const std::unique_ptr<NbdLink>& link : links_) {
    NbdConnection* const one = link->usable();
    if (one != nullptr && (best == nullptr || one->under_way() < best->under_way())) {
      best = one;
    }
  }
  return best;
}

void Nbd::link_lost() {
  ++losses_;
  if (usable() == nullptr && !closing_) {
    usable_.reset();
  }
  if (acknowledged_ != flushed_ && capabilities_.volatile_cache && ok(lost_)) {
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
  start();
  io::Buffer bounce;
  if (operation.bounce() > 0) {
    bounce = co_await buffers_.acquire(operation.bounce(), cancel);
    if (!bounce) {
      co_return IoStatus::cancelled;
    }
  }
  while (!operation.ended()) {
    if (operation.kind() == OpKind::flush && !ok(lost_)) {
      co_return lost_;
    }
    NbdConnection* const connection = usable();
    if (connection != nullptr) {
      NbdRequest request{*connection, operation.name()};
      operation.begin(request, connection->offer(), geometry_.logical_block, bounce.bytes(),
                      losses_);
      const int error = co_await request;
      note_error(*connection, error);
      operation.took(error == ESHUTDOWN ? ENOTCONN : error, losses_);
      continue;
    }
    if (closing_) {
      co_return operation.touched() ? IoStatus::medium_error : IoStatus::not_ready;
    }
    usable_.reset();
    // A change that may have happened must not end with `cancelled`.
    const bool woken = co_await usable_.wait(operation.touched() ? co::CancelToken{} : cancel);
    if (!woken) {
      co_return IoStatus::cancelled;
    }
  }
  co_return finish(operation);
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
  co_return status;
}

// --- block status

co::Task<int> Nbd::ask_status(Bytes offset, Bytes length, std::vector<std::uint32_t>* pairs) {
  for (;;) {
    NbdConnection* const connection = usable();
    if (connection == nullptr) {
      if (closing_) {
        co_return ESHUTDOWN;
      }
      usable_.reset();
      co_await usable_.wait();
      continue;
    }
    if (!connection->offer().block_status) {
      co_return ENOTSUP;
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
  start();
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

// 0 while a connection is missing.
Bytes Nbd::smallest_export() const {
  Bytes smallest{UINT64_MAX};
  for (const std::unique_ptr<NbdLink>& link : links_) {
    const NbdConnection* const connection = link->usable();
    smallest = std::min(smallest, connection != nullptr ? connection->offer().size : Bytes{});
  }
  return smallest;
}

// A connection knows the size that the export had when it was made. So growing makes new ones.
co::Task<IoStatus> Nbd::resize(Bytes size) {
  const co::Gate::Guard inside{running_};
  start();
  if (size > smallest_export()) {
    for (const std::unique_ptr<NbdLink>& link : links_) {
      link->renew();
    }
    const TimePoint until = executor_.now() + resize_patience;
    while (smallest_export() == Bytes{} && !closing_ && executor_.now() < until) {
      co_await co::sleep_for(executor_, std::chrono::milliseconds{5});
    }
  }
  if (size > smallest_export()) {
    log(LogLevel::error, "{}: cannot grow to {} bytes: {} has {}: enlarge it on the server first",
        lun_, size.value(), describe(config_), smallest_export().value());
    co_return IoStatus::no_space;
  }
  geometry_.size = size;
  promised_.size = size;
  co_return IoStatus::ok;
}

co::Task<void> Nbd::close() {
  running_.close();
  closing_ = true;
  usable_.set();
  for (const std::unique_ptr<NbdLink>& link : links_) {
    link->stop_connecting();
  }
  co_await running_.drain();
  for (const std::unique_ptr<NbdLink>& link : links_) {
    link->close();
  }
  co_await keepers_.join();
  claim_.release();
}

}  // namespace

std::unique_ptr<Backend> make_nbd(NbdStore store, const OpenContext& context) {
  return std::make_unique<Nbd>(std::move(store), context);
}

}  // namespace ballast::backend
