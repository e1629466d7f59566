from pathlib import Path

from fastnn import config


def test_what_is_not_there_is_said(monkeypatch):
    assert config._version("a-package-that-is-not-there") == "not installed"
    monkeypatch.setattr(config._cache, "writable", lambda: False)
    assert config.info()["object code is stored"].startswith("no")


def test_the_cpu_has_a_name_without_linux_too(monkeypatch):
    def absent(*_):
        raise FileNotFoundError

    assert config._cpu_name()
    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(config.platform, "processor", lambda: "")
    monkeypatch.setattr(config.platform, "machine", lambda: "riscv64")
    assert config._cpu_name() == "riscv64"


def test_show_config_prints_every_fact(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(config._cache, "folder", lambda: tmp_path)  # no other process stores kernels there meanwhile
    config.show_config()
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(config.info())
    for name, fact in config.info().items():
        assert f"{name}  " in out
        assert fact in out
