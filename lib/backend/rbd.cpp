// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "lib/backend/error_log.h"
#include "lib/backend/rbd_call.h"
#include "lib/backend/rbd_lock.h"
#include "lib/backend/rbd_requests.h"
#include "lib/backend/rbd_size_watch.h"
#include "lib/backend/rbd_status.h"
#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/co/gate.h"
#include "lib/io/helper_thread.h"

namespace ballast::backend {
namespace {

// librbd takes as many pieces of memory in one call as the kernel does (IOV_MAX).
constexpr std::size_t most_pieces = 1024;
// So much of a range is zeroed at once: 256 objects of the usual size.
constexpr std::uint64_t zero_piece = std::uint64_t{1} << 30;

// Collects what rbd_diff_iterate2() reports. `limit` and `end` stop it.
struct ExtentCollector {
  std::uint64_t at;
  std::uint64_t end;
  std::size_t limit;
  std::vector<Extent>* out;

  bool full() const { return out->size() >= limit; }
  void add(std::uint64_t stop, bool allocated) {
    if (stop <= at || full()) {
      return;
    }
    if (!out->empty() && out->back().allocated == allocated) {
      out->back().length += Bytes{stop - at};
    } else {
      out->push_back(
          Extent{.offset = Bytes{at}, .length = Bytes{stop - at}, .allocated = allocated});
    }
    at = stop;
  }
  static int found(std::uint64_t offset, std::size_t length, int exists, void* self) {
    auto& all = *static_cast<ExtentCollector*>(self);
    const std::uint64_t begin = std::clamp(offset, all.at, all.end);
    all.add(begin, false);
    all.add(std::clamp(offset + length, begin, all.end), exists != 0);
    return all.full() ? -ECANCELED : 0;
  }
};

class Rbd final : public Backend {
 public:
  Rbd(RbdImage image, const OpenContext& context)
      : executor_{context.executor},
        helper_{context.helper},
        under_way_{context.library_operations},
        connection_{std::move(image.connection)},
        library_{connection_->library()},
        name_{connection_->name()},
        lock_{image.lock},
        ownership_{std::move(image.ownership)},
        requests_{executor_, connection_->admin_socket()},
        connected_since_{executor_.now()},
        geometry_{rbd_geometry(image.traits, context.size, context.logical_block)},
        running_{executor_, "an image's last operation"},
        errors_{executor_, name_},
        size_watch_{executor_, helper_, *connection_, image.traits.size, geometry_.size} {
    const bool snapshot = connection_->is_snapshot();
    capabilities_ = Capabilities{.read_only = snapshot,
                                 .discard = true,
                                 .discard_zeroes = true,
                                 .zero = true,
                                 .zero_unmaps = true,
                                 .fua = true,
                                 .volatile_cache = false,
                                 .block_status = !image.encrypted,
                                 .exclusive = snapshot || lock_ == RbdLock::exclusive};
  }

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return name_; }
  Connection connection() const override {
    return {.state = fenced() ? "fenced" : "connected", .since = connected_since_};
  }
  co::Task<std::string> waits_for(Nanoseconds patience) override {
    return requests_.oldest(patience);
  }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  rbd_image_t image() const { return connection_->image(); }
  IoStatus ended(OpKind kind, const char* words, Bytes offset, Bytes length, int result);
  bool fenced() const { return ownership_.step() == RbdOwnership::Step::fenced; }
  void fence();
  int grow(std::uint64_t wanted);
  int begin_move(RbdCall& call, bool is_write, Bytes offset, io::SgView part,
                 std::vector<iovec>* pieces);
  co::Task<IoStatus> move(bool is_write, Bytes offset, io::SgView all);

  co::Executor& executor_;
  io::HelperThread& helper_;
  std::size_t& under_way_;
  std::unique_ptr<RbdConnection> connection_;
  const RbdLibrary& library_;
  const std::string name_;
  const RbdLock lock_;
  RbdOwnership ownership_;
  RbdRequests requests_;
  TimePoint connected_since_;  // or fenced
  Geometry geometry_;
  Capabilities capabilities_;
  co::Gate running_;
  ErrorLog errors_;
  RbdSizeWatch size_watch_;
};

void Rbd::fence() {
  if (!fenced()) {
    ownership_.lost();
    connected_since_ = executor_.now();
    log(LogLevel::error,
        "{}: fenced: another client has taken the image over, so commands are answered NOT READY; "
        "see to it that one machine only uses it, then restart tcmu-runner or make the backstore "
        "anew (the data stays)",
        name_);
  }
}

IoStatus Rbd::ended(OpKind kind, const char* words, Bytes offset, Bytes length, int result) {
  if (result >= 0) {
    return IoStatus::ok;
  }
  if (says_fenced(lock_, result) && !connection_->is_snapshot()) {
    fence();
  } else {
    errors_.report(words, offset, length,
                   result == -EINVAL ? "it is past the end of the image, which was made smaller"
                                     : std::strerror(-result));
  }
  return rbd_status(kind, lock_, result);
}

// --- read and write ------------------------------------------------------------------------------

// Memory in one piece needs no list. `pieces` must live until the call has ended.
int Rbd::begin_move(RbdCall& call, bool is_write, Bytes offset, io::SgView part,
                    std::vector<iovec>* pieces) {
  const std::uint64_t at = offset.value();
  const std::span<std::byte> memory = part.contiguous();
  if (!memory.empty()) {
    auto* const bytes = reinterpret_cast<char*>(memory.data());
    return call.begin([&](rbd_completion_t completion) {
      return is_write ? library_.rbd_aio_write(image(), at, memory.size(), bytes, completion)
                      : library_.rbd_aio_read(image(), at, memory.size(), bytes, completion);
    });
  }
  pieces->clear();
  part.for_each([&](std::span<std::byte> piece) {
    pieces->push_back(iovec{piece.data(), piece.size()});
    return true;
  });
  const auto count = static_cast<int>(pieces->size());
  return call.begin([&](rbd_completion_t completion) {
    return is_write ? library_.rbd_aio_writev(image(), pieces->data(), count, at, completion)
                    : library_.rbd_aio_readv(image(), pieces->data(), count, at, completion);
  });
}

// The longest part of `view` from `offset` that has no more than most_pieces pieces.
std::size_t length_of_part(io::SgView view, std::size_t offset) {
  std::size_t pieces = 0;
  std::size_t length = 0;
  view.slice(offset, view.size() - offset).for_each([&](std::span<std::byte> piece) {
    length += piece.size();
    return ++pieces < most_pieces;
  });
  return length;
}

co::Task<IoStatus> Rbd::move(bool is_write, Bytes offset, io::SgView all) {
  size_watch_.begin();
  const OpKind kind = is_write ? OpKind::write : OpKind::read;
  const co::Gate::Guard inside{running_};
  std::vector<iovec> pieces;
  std::size_t done = 0;
  while (done < all.size()) {
    const io::SgView part = all.slice(done, length_of_part(all, done));
    const Bytes at = offset + Bytes{done};
    RbdCall call{executor_, library_, under_way_};
    std::int64_t result = begin_move(call, is_write, at, part, &pieces);
    if (result == 0) {
      result = co_await call.wait;
    }
    if (result < 0) {
      const IoStatus status = ended(kind, is_write ? "write" : "read", at, Bytes{part.size()},
                                    static_cast<int>(result));
      // The other statuses promise that nothing was done.
      co_return is_write&& done > 0 && status != IoStatus::not_ready ? IoStatus::medium_error
                                                                     : status;
    }
    done += part.size();
  }
  co_return IoStatus::ok;
}

co::Task<IoStatus> Rbd::read(Bytes offset, io::SgView to, co::CancelToken) {
  if (fenced()) {
    co_return IoStatus::not_ready;
  }
  co_return co_await move(false, offset, to);
}

co::Task<IoStatus> Rbd::write(Bytes offset, io::SgView from, Fua, co::CancelToken) {
  if (fenced() || capabilities_.read_only) {
    co_return fenced() ? IoStatus::not_ready : IoStatus::write_protected;
  }
  co_return co_await move(true, offset, from);
}

co::Task<IoStatus> Rbd::flush(co::CancelToken) {
  if (fenced()) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{running_};
  RbdCall call{executor_, library_, under_way_};
  std::int64_t result = call.begin(
      [this](rbd_completion_t completion) { return library_.rbd_aio_flush(image(), completion); });
  if (result == 0) {
    result = co_await call.wait;
  }
  co_return ended(OpKind::flush, "flush", Bytes{}, geometry_.size, static_cast<int>(result));
}

// --- zero and discard ----------------------------------------------------------------------------

co::Task<IoStatus> Rbd::zero(Bytes offset, Bytes length, MayUnmap may_unmap, co::CancelToken) {
  if (fenced() || capabilities_.read_only) {
    co_return fenced() ? IoStatus::not_ready : IoStatus::write_protected;
  }
  const co::Gate::Guard inside{running_};
  const int flags = may_unmap == MayUnmap::yes ? 0 : RBD_WRITE_ZEROES_FLAG_THICK_PROVISION;
  std::uint64_t done = 0;
  while (done < length.value()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t part = std::min(zero_piece - at % zero_piece, length.value() - done);
    RbdCall call{executor_, library_, under_way_};
    std::int64_t result = call.begin([&](rbd_completion_t completion) {
      return library_.rbd_aio_write_zeroes(image(), at, part, completion, flags, 0);
    });
    if (result == 0) {
      result = co_await call.wait;
    }
    if (result < 0) {
      const IoStatus status =
          ended(OpKind::zero, "zero", Bytes{at}, Bytes{part}, static_cast<int>(result));
      co_return done > 0 && status != IoStatus::not_ready ? IoStatus::medium_error : status;
    }
    done += part;
  }
  co_return IoStatus::ok;
}

// librbd's own discard skips what is not a whole multiple of 64 KiB, and such blocks keep their
// data.
co::Task<IoStatus> Rbd::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  return zero(offset, length, MayUnmap::yes, cancel);
}

// --- calls on the helper thread ------------------------------------------------------------------

co::Task<IoStatus> Rbd::block_status(Bytes offset, Bytes length, std::size_t limit,
                                     std::vector<Extent>* out) {
  if (!capabilities_.block_status) {
    co_return IoStatus::not_supported;
  }
  if (fenced()) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{running_};
  std::vector<Extent> extents;
  ExtentCollector all{offset.value(), (offset + length).value(), limit, &extents};
  std::function<int()> work = [this, &all] {
    constexpr std::uint8_t include_parent = 1;
    constexpr std::uint8_t whole_object = 1;  // as the object map has it, without asking each
    const int looked =
        library_.rbd_diff_iterate2(image(), nullptr, all.at, all.end - all.at, include_parent,
                                   whole_object, &ExtentCollector::found, &all);
    return all.full() ? 0 : looked;
  };
  const int result = co_await helper_.run(std::move(work));
  if (result < 0) {
    co_return ended(OpKind::block_status, "block status", offset, length, result);
  }
  all.add(all.end, false);
  out->insert(out->end(), extents.begin(), extents.end());
  co_return IoStatus::ok;
}

// Of an encrypted image librbd shows the size without the header, but sets the size with it. So
// the size that is still missing after the first time is added. Blocks.
int Rbd::grow(std::uint64_t wanted) {
  std::uint64_t header = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::uint64_t has = 0;
    const int asked = library_.rbd_get_size(image(), &has);
    if (asked < 0 || has >= wanted) {
      return asked;
    }
    header = attempt > 0 ? wanted - has : 0;
    const int grown = library_.rbd_resize(image(), wanted + header);
    if (grown < 0) {
      return grown;
    }
  }
  return 0;
}

// An image that is larger than the LUN stays as it is, so that a size that was set by mistake costs
// no data. Who wants the space back shrinks the image afterwards (rbd resize --allow-shrink).
co::Task<IoStatus> Rbd::resize(Bytes size) {
  if (fenced()) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{running_};
  std::function<int()> work = [this, size] { return grow(size.value()); };
  const int result = co_await helper_.run(std::move(work));
  if (result < 0) {
    co_return ended(OpKind::resize, "resize", Bytes{}, size, result);
  }
  geometry_.size = size;
  co_return IoStatus::ok;
}

co::Task<void> Rbd::close() {
  running_.close();
  co_await running_.drain();
  co_await size_watch_.close();
  const bool ours = ownership_.step() == RbdOwnership::Step::owner;
  std::function<int()> work = [this, ours] {
    if (ours) {
      end_ownership(*connection_);
    }
    connection_.reset();
    return 0;
  };
  const int closed = co_await helper_.run(std::move(work));
  BALLAST_ASSERT(closed == 0 || connection_ != nullptr);
}

}  // namespace

std::unique_ptr<Backend> make_rbd(RbdImage image, const OpenContext& context) {
  return std::make_unique<Rbd>(std::move(image), context);
}

}  // namespace ballast::backend
