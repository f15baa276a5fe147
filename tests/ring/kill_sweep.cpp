// SPDX-License-Identifier: Apache-2.0
// A process that has a LUN with a write log is killed with SIGKILL under load, again and again.
// Each next process opens the LUN anew, and reads all of it, before it writes on. Whatever was
// answered GOOD must be there; a write that was not answered may have happened or not, block by
// block. Nothing may be torn, and nothing older.
//
// Each block that was written says in each of its words where it belongs, or which write it is of.
// What was sent and what was answered is noted in memory that the parent shares, so it outlives the
// process. In some lives the store is frozen when it ends, so that nothing was written back; in
// some the end comes while the log is still being read.
//
// At last the log is drained offline, and the store alone must have everything.
//
// usage: kill_sweep BALLASTCTL [KILLS]      environment: BALLAST_SEED
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/assert.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;

namespace {

using Random = std::mt19937_64;
using Clock = std::chrono::steady_clock;

constexpr const char* on_disk = "/var/tmp";
constexpr std::size_t block_size = 512;
constexpr std::size_t region_blocks = 256;
constexpr std::size_t regions = 32;  // one command at a time in each
constexpr std::size_t lun_blocks = regions * region_blocks;
constexpr std::size_t most_blocks = 128;  // in one command

// What a block holds: 0 if it is zeros, else the number of the write.
using Content = std::uint64_t;
constexpr Content nothing = ~Content{0};

struct Block {
  std::atomic<Content> answered{0};
  std::atomic<Content> under_way{nothing};  // not answered yet, by nobody if the process has died
};

struct Shared {
  std::atomic<bool> begun{false};  // an operator has made the LUN
  std::atomic<bool> ready{false};  // everything was read, and the load has begun
  std::atomic<std::uint64_t> next{1};
  std::atomic<std::uint64_t> answered{0};  // changes
  std::atomic<std::uint64_t> happened{0};  // blocks of changes that were not answered
  std::atomic<std::uint64_t> did_not{0};
  Block blocks[lun_blocks];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void fill(std::byte* block, std::uint64_t lba, Content content) {
  for (std::size_t at = 0; at < block_size; at += 16) {
    const std::uint64_t words[2] = {content == 0 ? 0 : lba + 1, content};
    std::memcpy(block + at, words, sizeof words);
  }
}

// Returns `nothing` if it is torn, or of another place.
Content content_of(const std::byte* block, std::uint64_t lba) {
  Content content = 0;
  std::memcpy(&content, block + 8, sizeof content);
  std::byte whole[block_size];
  fill(whole, lba, content);
  return std::memcmp(whole, block, block_size) == 0 ? content : nothing;
}

// Notes what the blocks have now. Returns how many are wrong, and says so of the first few.
int compare(Shared& shared, std::uint64_t first, std::span<const std::byte> data,
            const char* where) {
  int wrong = 0;
  for (std::uint64_t lba = first; lba < first + data.size() / block_size; ++lba) {
    Block& block = shared.blocks[lba];
    const Content seen = content_of(data.data() + (lba - first) * block_size, lba);
    const Content under_way = block.under_way;
    if (seen == nothing || (seen != block.answered && seen != under_way)) {
      if (++wrong <= 3) {
        std::fprintf(stderr, "block %llu %s has write %lld; answered: %lld, under way: %lld\n",
                     static_cast<unsigned long long>(lba), where, static_cast<long long>(seen),
                     static_cast<long long>(block.answered), static_cast<long long>(under_way));
      }
    } else if (under_way != nothing) {
      ++(seen == under_way ? shared.happened : shared.did_not);
      block.answered = seen;
      block.under_way = nothing;
    }
  }
  return wrong;
}

// ---- in the process that is killed --------------------------------------------------------------

// Sends one command after the other to its region.
struct Worker {
  Lun* lun = nullptr;
  Shared* shared = nullptr;
  std::uint64_t first = 0;
  Random random;
  std::vector<std::byte> buffer = std::vector<std::byte>(most_blocks * block_size);
  Cdb cdb;
  std::size_t length = 0;
  std::uint64_t lba = 0;
  std::size_t blocks = 0;  // that it changes
  Content content = 0;

  static void answered(void* self, const Answer& answer);
  void draw();
  void send() {
    BALLAST_ASSERT(lun->submit(cdb, length > 0 ? Direction::to_device : Direction::none,
                               std::span{buffer}.first(length), {&Worker::answered, this}));
  }
};

void Worker::answered(void* self, const Answer& answer) {
  Worker& worker = *static_cast<Worker*>(self);
  if (answer.status == 0) {
    for (std::size_t i = 0; i < worker.blocks; ++i) {
      Block& block = worker.shared->blocks[worker.lba + i];
      block.answered = worker.content;
      block.under_way = nothing;
    }
    worker.shared->answered += worker.blocks > 0 ? 1 : 0;
    worker.draw();
  } else if (answer.status != 0x08) {  // BUSY: the same once more, as an initiator does
    std::fprintf(stderr, "a command ended with status %u, sense key %u, %04x\n", answer.status,
                 answer.sense_key(), answer.additional_sense());
    ::_exit(2);
  }
  worker.send();
}

void Worker::draw() {
  const std::uint64_t choice = random() % 100;
  if (choice < 4) {
    cdb = cdb_10(0x35, 0, 0);
    blocks = length = 0;
    return;
  }
  const std::size_t most = random() % 4 == 0 ? most_blocks : 16;
  const std::size_t at = random() % region_blocks;
  lba = first + at;
  blocks = std::min<std::size_t>(1 + random() % most, region_blocks - at);
  const auto count = static_cast<std::uint32_t>(blocks);
  if (choice < 12) {  // zeros: WRITE SAME (16), half of them with UNMAP
    content = 0;
    cdb = cdb_16(0x93, lba, count, random() % 2 == 0 ? 0x08 : 0);
    length = block_size;
    std::memset(buffer.data(), 0, length);
  } else {
    content = shared->next++;
    cdb = cdb_16(0x8a, lba, count, random() % 16 == 0 ? 0x08 : 0);
    length = blocks * block_size;
    for (std::size_t i = 0; i < blocks; ++i) {
      fill(buffer.data() + i * block_size, lba + i, content);
    }
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    shared->blocks[lba + i].under_way = content;
  }
}

// Returns how many blocks are wrong.
int read_all(Lun& lun, Shared& shared) {
  int wrong = 0;
  std::vector<std::byte> data(region_blocks * block_size);
  for (std::uint64_t first = 0; first < lun_blocks; first += region_blocks) {
    const auto reads = [&] {
      return lun.execute(read_16(first, region_blocks), Direction::from_device, data).status == 0;
    };
    if (!eventually(reads, 1000)) {
      std::fprintf(stderr, "block %llu cannot be read\n", static_cast<unsigned long long>(first));
      return 1;
    }
    wrong += compare(shared, first, data, "of the LUN");
  }
  return wrong;
}

// A life of the LUN. If `last`, it ends by itself.
[[noreturn]] void live(const std::string& config, const std::string& folder, Shared& shared,
                       std::uint64_t seed, bool last) {
  ::alarm(180);
  ::setenv("TMPDIR", folder.c_str(), 1);  // it removes nothing at its end
  load_built_plugin();
  // Each life but the first is as a daemon that starts again and finds the LUN: the kernel may
  // still be ending what the process before had under way, so that its files are in use for a
  // moment.
  LunOptions options;
  options.at_start = shared.begun.exchange(true);
  const std::unique_ptr<Lun> lun = Lun::add(config, options);
  const auto opened = [&] { return lun->execute(test_unit_ready()).status == 0; };
  if (lun == nullptr || !eventually(opened, 6000)) {
    std::fprintf(stderr, "the LUN was not opened: %s\n", take_log().c_str());
    ::_exit(2);
  }
  if (read_all(*lun, shared) != 0) {
    std::fprintf(stderr, "%s\n", take_log().c_str());
    ::_exit(2);
  }
  if (last) {
    ::_exit(lun->remove() ? 0 : 2);
  }
  std::vector<Worker> workers(regions);
  for (std::size_t i = 0; i < regions; ++i) {
    workers[i].lun = lun.get();
    workers[i].shared = &shared;
    workers[i].first = i * region_blocks;
    workers[i].random.seed(seed + i);
    workers[i].draw();
  }
  for (Worker& worker : workers) {
    worker.send();
  }
  shared.ready = true;
  for (;;) {
    ::pause();
  }
}

// ---- in the parent ------------------------------------------------------------------------------

struct Counts {
  int kills = 0;
  int at_opening = 0;
  int frozen = 0;
};

class Sweep {
 public:
  Sweep(const char* order, std::uint64_t seed, Shared& shared)
      : folder_{on_disk}, order_{order}, random_{seed}, shared_{shared} {}
  bool run(int kills, const std::string& ballastctl);

 private:
  std::string config() const {
    return "file=" + folder_.file("vol.raw") + quick + ";fault=" + folder_.file("faults") +
           ";log=" + folder_.file("vol.log") + ";log_size=256MiB;log_order=" + order_;
  }
  void rules(const char* text) { std::ofstream{folder_.file("faults")} << text; }
  pid_t begin(bool last);
  bool kill_one(bool first);
  bool store_has_everything();
  // Uniform in 0 to `most`.
  void sleep(int most) {
    std::this_thread::sleep_for(
        std::chrono::microseconds{random_() % (static_cast<std::uint64_t>(most) * 1000)});
  }

  Folder folder_;
  const std::string order_;
  Random random_;
  Shared& shared_;
  Counts counts_;
};

pid_t Sweep::begin(bool last) {
  shared_.ready = false;
  const std::uint64_t seed = random_();
  const pid_t process = ::fork();
  BALLAST_ASSERT(process >= 0);
  if (process == 0) {
    live(config(), folder_.file(""), shared_, seed, last);
  }
  return process;
}

// The first life makes the log, which takes long; it is not ended before.
bool Sweep::kill_one(bool first) {
  rules(random_() % 4 == 0 ? "write,zero,discard freeze\n" : "");
  const pid_t process = begin(false);
  const bool at_opening = !first && random_() % 5 == 0;
  if (at_opening) {
    sleep(150);
  } else {
    int status = 0;
    const bool lives = eventually(
        [&] { return shared_.ready || ::waitpid(process, &status, WNOHANG) != 0; }, 18'000);
    if (!lives || !shared_.ready) {
      std::fprintf(stderr, "after kill %d: no load, status %x\n", counts_.kills, status);
      return false;
    }
    sleep(400);
    if (random_() % 3 == 0) {
      rules("all freeze\n");
      ++counts_.frozen;
      std::this_thread::sleep_for(std::chrono::milliseconds{150});  // the plugin has read it
      sleep(300);
    }
  }
  ::kill(process, SIGKILL);
  int status = 0;
  BALLAST_ASSERT(::waitpid(process, &status, 0) == process);
  ++counts_.kills;
  counts_.at_opening += at_opening ? 1 : 0;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    std::fprintf(stderr, "kill %d came too late: status %x\n", counts_.kills, status);
    return false;
  }
  return true;
}

bool Sweep::store_has_everything() {
  std::ifstream store{folder_.file("vol.raw"), std::ios::binary};
  std::vector<std::byte> data(lun_blocks * block_size);
  store.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
  return store.good() && compare(shared_, 0, data, "of the store") == 0;
}

bool Sweep::run(int kills, const std::string& ballastctl) {
  const Clock::time_point began = Clock::now();
  for (int i = 0; i < kills; ++i) {
    if (!kill_one(i == 0)) {
      return false;
    }
  }
  rules("write,zero,discard freeze\n");  // so that something is left to drain
  int status = 0;
  (void)::waitpid(begin(true), &status, 0);
  rules("");
  const std::string drain =
      ballastctl + " log drain " + folder_.file("vol.log") + " " + folder_.file("vol.raw");
  if (status != 0 || std::system(drain.c_str()) != 0 || !store_has_everything()) {
    std::fprintf(stderr, "the last life ended with %x, or the drained store is wrong\n", status);
    return false;
  }
  std::printf(
      "log_order=%s: %d kills (%d while opening, %d with a frozen store), %llu changes answered; "
      "of the blocks that were under way %llu are new and %llu old; %.0f s\n",
      order_.c_str(), counts_.kills, counts_.at_opening, counts_.frozen,
      static_cast<unsigned long long>(shared_.answered),
      static_cast<unsigned long long>(shared_.happened),
      static_cast<unsigned long long>(shared_.did_not),
      std::chrono::duration<double>(Clock::now() - began).count());
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: kill_sweep BALLASTCTL [KILLS]\n");
    return 2;
  }
  if (!has_direct_io(on_disk) || !has_attributes(on_disk)) {
    std::printf("%s has no O_DIRECT or no extended attributes\n", on_disk);
    return 77;
  }
  const int kills = count > 2 ? std::atoi(arguments[2]) : 100;
  const std::uint64_t first = seed();
  for (const char* const order : {"epoch", "free"}) {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BALLAST_ASSERT(memory != MAP_FAILED);
    Shared* const shared = new (memory) Shared;
    Sweep sweep{order, first, *shared};
    if (!sweep.run(kills / 2, arguments[1])) {
      std::fprintf(stderr, "failed with log_order=%s\n", order);
      return 1;
    }
  }
  return 0;
}
