"""Where JupyterLab finds the course's stylesheet: `custom/custom.css`, beside this file."""

from pathlib import Path

c = get_config()  # noqa: F821  (Jupyter's own)
c.LabApp.custom_css = True
c.ServerApp.tornado_settings = {"static_custom_path": [str(Path(__file__).resolve().parent / "custom")]}
