// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "lib/backend/anatomy.h"
#include "lib/backend/error_log.h"
#include "lib/backend/rbd_call.h"
#include "lib/backend/rbd_status.h"
#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/co/gate.h"
#include "lib/co/landmark.h"

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
  // Then give it the session, or what has the sessions of a shared image.
  Rbd(const RbdImage& image, RbdLock lock, const OpenContext& context)
      : executor_{context.executor},
        under_way_{context.library_operations},
        library_{image.connection->library()},
        name_{image.connection->name()},
        lock_{lock},
        geometry_{rbd_geometry(image.traits, context.size, context.logical_block)},
        errors_{executor_, name_} {
    const bool snapshot = image.connection->is_snapshot();
    capabilities_ = Capabilities{.read_only = snapshot,
                                 .discard = true,
                                 .discard_zeroes = true,
                                 .zero = true,
                                 .zero_unmaps = true,
                                 .fua = true,
                                 .volatile_cache = false,
                                 .block_status = !image.encrypted,
                                 .exclusive = snapshot || lock_ != RbdLock::none};
  }
  void use(std::unique_ptr<RbdSession> session) { session_ = std::move(session); }
  void use(std::unique_ptr<SharedAccess> access) { access_ = std::move(access); }

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return name_; }
  Connection connection() const override;
  co::Task<std::string> waits_for(Nanoseconds patience) override;
  SharedStore* shared() override { return access_.get(); }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<Result<void>> write_label(std::optional<Label> label) override;
  co::Task<void> close() override;

 private:
  RbdSession* usable() const;
  // The session that is open, whether the image is ours or not; null while there is none.
  RbdSession* open_session() const {
    return access_ != nullptr ? static_cast<RbdSession*>(access_->open_session()) : session_.get();
  }
  bool must_verify() { return access_ != nullptr && access_->must_verify(); }
  IoStatus ended(RbdSession& session, OpKind kind, const char* words, Bytes offset, Bytes length,
                 int result);
  void fence(RbdSession& session);
  int grow(RbdSession& session, std::uint64_t wanted, bool may_grow);
  int begin_move(RbdCall& call, rbd_image_t image, bool is_write, Bytes offset, io::SgView part,
                 std::vector<iovec>* pieces);
  co::Task<IoStatus> move(RbdSession& session, bool is_write, Bytes offset, io::SgView all);

  co::Executor& executor_;
  std::size_t& under_way_;
  const RbdLibrary& library_;
  const std::string name_;
  const RbdLock lock_;
  Geometry geometry_;
  Capabilities capabilities_;
  ErrorLog errors_;
  std::unique_ptr<RbdSession> session_;   // of an image that is not shared
  std::unique_ptr<SharedAccess> access_;  // of a shared one
  const co::Landmark landmark_{executor_, Anatomy::image, &session_};
};

Connection Rbd::connection() const {
  const RbdSession* const session = open_session();
  if (session == nullptr) {
    return {};
  }
  return {.state = AccessSession::connection(session->lost()), .since = session->since()};
}

co::Task<std::string> Rbd::waits_for(Nanoseconds patience) {
  RbdSession* const session = open_session();
  if (session != nullptr) {
    const co::Gate::Guard inside{session->running()};
    co_return co_await session->requests().oldest(patience);
  }
  co_return std::string{};
}

// The session for an operation; null: there is none now. It lives until the operation has left its
// gate.
RbdSession* Rbd::usable() const {
  if (access_ != nullptr) {
    return static_cast<RbdSession*>(access_->session());
  }
  return session_->lost() ? nullptr : session_.get();
}

void Rbd::fence(RbdSession& session) {
  if (access_ != nullptr) {
    access_->lost(session, "another client has taken it over, and the cluster refuses this one");
  } else if (!session.lost()) {
    session.lose();
    log(LogLevel::error,
        "{}: fenced: another client has taken the image over, so commands are answered NOT READY; "
        "make sure that only one machine uses it, then restart tcmu-runner or make the backstore "
        "anew (the data stays)",
        name_);
  }
}

IoStatus Rbd::ended(RbdSession& session, OpKind kind, const char* words, Bytes offset, Bytes length,
                    int result) {
  if (result >= 0) {
    return IoStatus::ok;
  }
  if (says_fenced(lock_, result) && !capabilities_.read_only) {
    fence(session);
  } else {
    errors_.report(words, offset, length,
                   result == -EINVAL ? "it is past the end of the image, which was made smaller"
                                     : std::strerror(-result));
  }
  return rbd_status(kind, lock_, result);
}

// --- read and write ------------------------------------------------------------------------------

// Memory in one piece needs no list. `pieces` must live until the call has ended.
int Rbd::begin_move(RbdCall& call, rbd_image_t image, bool is_write, Bytes offset, io::SgView part,
                    std::vector<iovec>* pieces) {
  const std::uint64_t at = offset.value();
  const std::span<std::byte> memory = part.contiguous();
  if (!memory.empty()) {
    auto* const bytes = reinterpret_cast<char*>(memory.data());
    return call.begin([&](rbd_completion_t completion) {
      return is_write ? library_.rbd_aio_write(image, at, memory.size(), bytes, completion)
                      : library_.rbd_aio_read(image, at, memory.size(), bytes, completion);
    });
  }
  pieces->clear();
  part.for_each([&](std::span<std::byte> piece) {
    pieces->push_back(iovec{piece.data(), piece.size()});
    return true;
  });
  const auto count = static_cast<int>(pieces->size());
  return call.begin([&](rbd_completion_t completion) {
    return is_write ? library_.rbd_aio_writev(image, pieces->data(), count, at, completion)
                    : library_.rbd_aio_readv(image, pieces->data(), count, at, completion);
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

co::Task<IoStatus> Rbd::move(RbdSession& session, bool is_write, Bytes offset, io::SgView all) {
  const OpKind kind = is_write ? OpKind::write : OpKind::read;
  const co::Gate::Guard inside{session.running()};
  session.begin();
  std::vector<iovec> pieces;
  std::size_t done = 0;
  while (done < all.size()) {
    const io::SgView part = all.slice(done, length_of_part(all, done));
    const Bytes at = offset + Bytes{done};
    RbdCall call{executor_, library_, under_way_};
    std::int64_t result = begin_move(call, session.handle(), is_write, at, part, &pieces);
    if (result == 0) {
      result = co_await call.wait;
    }
    if (result < 0) {
      const IoStatus status = ended(session, kind, is_write ? "write" : "read", at,
                                    Bytes{part.size()}, static_cast<int>(result));
      // The other statuses promise that nothing was done.
      co_return is_write&& done > 0 && status != IoStatus::not_ready ? IoStatus::medium_error
                                                                     : status;
    }
    done += part.size();
  }
  co_return IoStatus::ok;
}

co::Task<IoStatus> Rbd::read(Bytes offset, io::SgView to, co::CancelToken) {
  RbdSession* const session = usable();
  if (session == nullptr) {
    co_return IoStatus::not_ready;
  }
  co_return co_await move(*session, false, offset, to);
}

co::Task<IoStatus> Rbd::write(Bytes offset, io::SgView from, Fua, co::CancelToken) {
  if (must_verify()) [[unlikely]] {
    const bool ours = co_await access_->verified();
    if (!ours) {
      co_return IoStatus::not_ready;
    }
  }
  RbdSession* const session = usable();
  if (session == nullptr || capabilities_.read_only) {
    co_return session == nullptr ? IoStatus::not_ready : IoStatus::write_protected;
  }
  co_return co_await move(*session, true, offset, from);
}

co::Task<IoStatus> Rbd::flush(co::CancelToken) {
  RbdSession* const session = usable();
  if (session == nullptr) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{session->running()};
  RbdCall call{executor_, library_, under_way_};
  std::int64_t result = call.begin([this, session](rbd_completion_t completion) {
    return library_.rbd_aio_flush(session->handle(), completion);
  });
  if (result == 0) {
    result = co_await call.wait;
  }
  co_return ended(*session, OpKind::flush, "flush", Bytes{}, geometry_.size,
                  static_cast<int>(result));
}

// --- zero and discard ----------------------------------------------------------------------------

co::Task<IoStatus> Rbd::zero(Bytes offset, Bytes length, MayUnmap may_unmap, co::CancelToken) {
  if (must_verify()) [[unlikely]] {
    const bool ours = co_await access_->verified();
    if (!ours) {
      co_return IoStatus::not_ready;
    }
  }
  RbdSession* const session = usable();
  if (session == nullptr || capabilities_.read_only) {
    co_return session == nullptr ? IoStatus::not_ready : IoStatus::write_protected;
  }
  const co::Gate::Guard inside{session->running()};
  const int flags = may_unmap == MayUnmap::yes ? 0 : RBD_WRITE_ZEROES_FLAG_THICK_PROVISION;
  std::uint64_t done = 0;
  while (done < length.value()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t part = std::min(zero_piece - at % zero_piece, length.value() - done);
    RbdCall call{executor_, library_, under_way_};
    std::int64_t result = call.begin([&](rbd_completion_t completion) {
      return library_.rbd_aio_write_zeroes(session->handle(), at, part, completion, flags, 0);
    });
    if (result == 0) {
      result = co_await call.wait;
    }
    if (result < 0) {
      const IoStatus status =
          ended(*session, OpKind::zero, "zero", Bytes{at}, Bytes{part}, static_cast<int>(result));
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

// --- calls on the control thread -----------------------------------------------------------------

co::Task<IoStatus> Rbd::block_status(Bytes offset, Bytes length, std::size_t limit,
                                     std::vector<Extent>* out) {
  if (!capabilities_.block_status) {
    co_return IoStatus::not_supported;
  }
  RbdSession* const session = usable();
  if (session == nullptr) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{session->running()};
  std::vector<Extent> extents;
  ExtentCollector all{offset.value(), (offset + length).value(), limit, &extents};
  std::function<int()> work = [this, session, &all] {
    constexpr std::uint8_t include_parent = 1;
    constexpr std::uint8_t whole_object = 1;  // as the object map has it, without asking each
    const int looked =
        library_.rbd_diff_iterate2(session->handle(), nullptr, all.at, all.end - all.at,
                                   include_parent, whole_object, &ExtentCollector::found, &all);
    return all.full() ? 0 : looked;
  };
  const int result = co_await session->control().run(std::move(work));
  if (result < 0) {
    co_return ended(*session, OpKind::block_status, "block status", offset, length, result);
  }
  all.add(all.end, false);
  out->insert(out->end(), extents.begin(), extents.end());
  co_return IoStatus::ok;
}

// Of an encrypted image librbd shows the size without the header, but sets the size with it. So
// the size that is still missing after the first time is added. Blocks.
int Rbd::grow(RbdSession& session, std::uint64_t wanted, bool may_grow) {
  std::uint64_t header = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::uint64_t has = 0;
    const int asked = library_.rbd_get_size(session.handle(), &has);
    if (asked < 0 || has >= wanted) {
      return asked;
    }
    if (!may_grow) {
      return -ENOTCONN;  // the image's owner must grow it first
    }
    header = attempt > 0 ? wanted - has : 0;
    const int grown = library_.rbd_resize(session.handle(), wanted + header);
    if (grown < 0) {
      return grown;
    }
  }
  return 0;
}

// An image that is larger than the LUN stays as it is, so that a size that was set by mistake costs
// no data. Who wants the space back shrinks the image afterwards (rbd resize --allow-shrink).
co::Task<IoStatus> Rbd::resize(Bytes size) {
  if (must_verify()) [[unlikely]] {
    const bool ours = co_await access_->verified();
    if (!ours) {
      co_return IoStatus::not_ready;
    }
  }
  RbdSession* const session = access_ != nullptr ? open_session() : usable();
  if (session == nullptr) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{session->running()};
  const bool may_grow = session == usable();
  std::function<int()> work = [this, session, size, may_grow] {
    return grow(*session, size.value(), may_grow);
  };
  const int result = co_await session->control().run(std::move(work));
  if (result < 0) {
    co_return ended(*session, OpKind::resize, "resize", Bytes{}, size, result);
  }
  geometry_.size = size;
  co_return IoStatus::ok;
}

co::Task<Result<void>> Rbd::write_label(std::optional<Label> label) {
  bool ours = !must_verify();
  if (!ours) {
    ours = co_await access_->verified();
  }
  RbdSession* const session = ours ? usable() : nullptr;
  if (session == nullptr) {
    co_return Error{
        ENOTCONN,
        name_ + " does not belong to this machine now, so Ballast does not write its label"};
  }
  if (capabilities_.read_only) {
    co_return Error{EROFS, name_ + " is read-only, so Ballast does not write its label"};
  }
  const co::Gate::Guard inside{session->running()};
  Result<void> written;
  std::function<int()> work = [session, &label, &written] {
    written = session->write_label(label);
    return 0;
  };
  const int ran = co_await session->control().run(std::move(work));
  if (ran < 0) {
    co_return Error{-ran, name_ + ": no thread or memory to write the label of its write log"};
  }
  if (!written && says_fenced(lock_, -written.error().errno_value)) {
    fence(*session);
  }
  co_return std::move(written);
}

co::Task<void> Rbd::close() {
  if (access_ != nullptr) {
    co_await access_->close();
  } else {
    co_await session_->end();
  }
}

}  // namespace

std::unique_ptr<Backend> make_rbd(RbdImage image, RbdLock lock, const OpenContext& context) {
  auto rbd = std::make_unique<Rbd>(image, lock, context);
  rbd->use(std::make_unique<RbdSession>(context.executor, std::move(image), rbd->geometry().size));
  return rbd;
}

std::unique_ptr<Backend> make_shared_rbd(
    RbdImage image, std::string lun, const OpenContext& context,
    const std::function<std::unique_ptr<SessionSource>(const Bytes& lun_size)>& sessions) {
  auto rbd = std::make_unique<Rbd>(image, RbdLock::standby, context);
  const Bytes& lun_size = rbd->geometry().size;
  auto first = std::make_unique<RbdSession>(context.executor, std::move(image), lun_size);
  rbd->use(std::make_unique<SharedAccess>(context.executor, std::move(lun), std::move(first),
                                          sessions(lun_size)));
  return rbd;
}

}  // namespace ballast::backend
